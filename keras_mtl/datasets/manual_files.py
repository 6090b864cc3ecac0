"""Files that a person must get, because licence or host want it so."""

import os
from pathlib import Path

#: Where Census-Income (KDD) is, as an archive.
CENSUS_INCOME = (
    "https://archive.ics.uci.edu/static/public/117/census+income+kdd.zip"
)

#: What to get, and where from, by the folder that it goes to.
INSTRUCTIONS = {
    "celeba": (
        "Get img_align_celeba.zip, list_attr_celeba.txt and "
        "list_eval_partition.txt from "
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html, put them there, "
        "and unpack the archive, which has a folder img_align_celeba."
    ),
    "census_income": (
        f"Get {CENSUS_INCOME}, and put it there as it is, or what it has: "
        "FOLDER/census_income/census-income.data.gz and "
        "census-income.test.gz, unpacked or not, or census.tar.gz."
    ),
    "cityscapes": (
        "Get the preprocessed archive that "
        "https://github.com/lorenmt/mtan links to as the 128x256 version, and "
        "unpack it there: FOLDER/cityscapes/train/image/0.npy and so on."
    ),
    "nyuv2": (
        "Get the preprocessed archive that "
        "https://github.com/lorenmt/mtan links to, and unpack it there: "
        "FOLDER/nyuv2/train/image/0.npy and so on."
    ),
    "office31": (
        "Get the images of Office-31 that "
        "https://faculty.cc.gatech.edu/~judy/domainadapt/ links to, and put "
        "the folders amazon, dslr and webcam there: "
        "FOLDER/office31/amazon/images/back_pack and so on."
    ),
    "office_home": (
        "Get the archive that https://www.hemanthdv.org/officeHomeDataset.html "
        "links to, and put the folders Art, Clipart, Product and Real World "
        "there: FOLDER/office_home/Art/Alarm_Clock and so on."
    ),
    "qm9": (
        "Get dsgdb9nsd.xyz.tar.bz2, uncharacterized.txt and atomref.txt from "
        "https://doi.org/10.6084/m9.figshare.c.978904.v5, put them there, and "
        "unpack the archive: FOLDER/qm9/dsgdb9nsd_000001.xyz and so on."
    ),
}


def manual_folder(name: str, data_dir: str | os.PathLike | None) -> Path:
    """Returns the folder of a data set, or raises `FileNotFoundError`."""
    folder = None if data_dir is None else Path(data_dir) / name
    if folder is None or not folder.is_dir():
        missing = (
            f"Data set {name!r} is not downloaded by itself"
            if folder is None
            else f"There is no {folder}"
        )
        raise FileNotFoundError(
            f"{missing}. {INSTRUCTIONS[name]} Then pass `data_dir=FOLDER`."
        )
    return folder


def existing_file(name: str, path: Path) -> Path:
    """Returns the path of a file of a data set, or raises."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no {path}. {INSTRUCTIONS[name]}")
    return path
