"""Census-income of the KDD archive, in its original files."""

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from pathlib import PurePosixPath
from typing import IO
from typing import Protocol

import numpy as np

from keras_mtl.datasets.manual_files import INSTRUCTIONS

#: The columns, in their order, as most code on them calls them.
COLUMNS = (
    *("age", "class_worker", "det_ind_code", "det_occ_code", "education"),
    *("wage_per_hour", "hs_college", "marital_stat", "major_ind_code"),
    *("major_occ_code", "race", "hisp_origin", "sex", "union_member"),
    *("unemp_reason", "full_or_part_emp", "capital_gains", "capital_losses"),
    *("stock_dividends", "tax_filer_stat", "region_prev_res"),
    *("state_prev_res", "det_hh_fam_stat", "det_hh_summ", "instance_weight"),
    *("mig_chg_msa", "mig_chg_reg", "mig_move_reg", "mig_same"),
    *("mig_prev_sunbelt", "num_emp", "fam_under_18", "country_father"),
    *("country_mother", "country_self", "citizenship", "own_or_self"),
    *("vet_question", "vet_benefits", "weeks_worked", "year", "income_50k"),
)

#: Columns that are amounts; all others hold categories, some by numbers.
AMOUNTS = (
    *("age", "wage_per_hour", "capital_gains", "capital_losses"),
    *("stock_dividends", "num_emp", "weeks_worked"),
)

#: Columns that tasks are made of, and the weight of a row in the survey.
NO_INPUTS = ("education", "marital_stat", "instance_weight", "income_50k")

CATEGORIES = tuple(
    name for name in COLUMNS if name not in (*AMOUNTS, *NO_INPUTS)
)

#: What the last column says of an income of more than 50,000 dollars.
INCOMES = {"- 50000.": 0, "50000+.": 1}

#: Ends of the files' names by split.
ENDS = {"train": "data", "test": "test"}

#: Bytes of a file that is unpacked, at most: the larger one has 104 million.
MOST_BYTES = 2**28

#: What reading a damaged archive raises.
DAMAGES = (
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    UnicodeDecodeError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


class Readable(Protocol):
    """A file, or what is unpacked while it is read."""

    def read(self, size: int, /) -> bytes: ...


class Rows:
    """What a file has, by column.

    Args:
        lines: Lines of the file.
        name: What it is called in messages.

    Attributes:
        amounts: Float64 `[rows, columns]`.
        categories: Texts by column.
        education: Texts.
        marital: Texts.
        incomes: 0 or 1.
    """

    def __init__(self, lines: Sequence[str], name: str):
        amounts, incomes = [], []
        texts: list[list[str]] = [[] for _ in (*CATEGORIES, 0, 0)]
        places = [
            COLUMNS.index(it)
            for it in (*CATEGORIES, "education", "marital_stat")
        ]
        amount_places = [COLUMNS.index(it) for it in AMOUNTS]
        known: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            parts = [part.strip() for part in line.split(",")]
            if len(parts) != len(COLUMNS):
                raise _error(
                    name, number, f"{len(COLUMNS)} columns", f"{len(parts)}"
                )
            if parts[-1] not in INCOMES:
                raise _error(name, number, " or ".join(INCOMES), parts[-1])
            incomes.append(INCOMES[parts[-1]])
            try:
                amounts.append([float(parts[it]) for it in amount_places])
            except ValueError as error:
                raise _error(name, number, "numbers", str(error)) from error
            for column, place in zip(texts, places, strict=True):
                # Each text once: there are twelve million of few kinds.
                column.append(known.setdefault(parts[place], parts[place]))
        if not incomes:
            raise ValueError(f"{name} is empty. Get it again.")
        self.amounts = np.array(amounts)
        self.incomes = np.array(incomes, dtype="int32")
        *columns, self.education, self.marital = texts
        self.categories = dict(zip(CATEGORIES, columns, strict=True))


def read_rows(path: Path, split: str) -> Rows:
    """Returns what the file of a split has.

    Args:
        path: A folder with `census-income.data` and `census-income.test`,
            with `.gz` behind it or not, or with an archive that has them; or
            the archive itself.
        split: `"train"` or `"test"`.
    """
    wanted = f"census-income.{ENDS[split]}"
    candidates = [path]
    if path.is_dir():
        names = (wanted, f"{wanted}.gz", "census.tar.gz")
        candidates = [path / it for it in (*names, "census+income+kdd.zip")]
    for candidate in candidates:
        if not candidate.is_file():
            continue
        try:
            with open(candidate, "rb") as file:
                content = _search(candidate.name, file, wanted)
            text = None if content is None else content.decode("utf-8")
        except DAMAGES as error:
            raise ValueError(
                f"{candidate} is damaged: {error}. Get it again."
            ) from error
        if text is not None:
            return Rows(text.splitlines(), f"{wanted} of {candidate}")
    raise FileNotFoundError(
        f"There is no {wanted} in {path}. {INSTRUCTIONS['census_income']}"
    )


def _search(name: str, file: IO[bytes], wanted: str) -> bytes | None:
    """Returns a file by name, also out of archives that are in archives."""
    base = PurePosixPath(name).name
    if base == wanted:
        return _limited(file)
    if base == f"{wanted}.gz":
        with gzip.open(file) as unpacked:
            return _limited(unpacked)
    if base.endswith(".tar.gz"):
        with tarfile.open(fileobj=file, mode="r:gz") as members:
            for member in members:
                inner = members.extractfile(member)
                if inner is not None:
                    found = _search(member.name, inner, wanted)
                    if found is not None:
                        return found
        return None
    start = file.read(4)
    file.seek(0)
    if start == b"PK\x03\x04":
        with zipfile.ZipFile(file) as archive:
            for inner_name in archive.namelist():
                with archive.open(inner_name) as packed:
                    unpacked_file = io.BytesIO(_limited(packed))
                found = _search(inner_name, unpacked_file, wanted)
                if found is not None:
                    return found
    return None


def _limited(file: Readable) -> bytes:
    content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise OSError(f"it has more than {MOST_BYTES:,} bytes")
    return content


def _error(name: str, number: int, expected: str, found: str) -> ValueError:
    return ValueError(
        f"Line {number} of {name} must have {expected}. Found: {found}. Get "
        "the file again."
    )
