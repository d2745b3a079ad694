"""CSV files as people have them: the same rows in every encoding and with every separator, and the lines of rows."""

import pytest

from common.data.csv_table import read_csv
from common.errors import InputError

TEXT = 'a,b\n1,"x, y"\n2,é\n'
SAME = {
    "UTF-8": TEXT.encode(),
    "UTF-8 with its mark": TEXT.encode("utf-8-sig"),
    "UTF-16 little": b"\xff\xfe" + TEXT.encode("utf-16-le"),
    "UTF-16 big": b"\xfe\xff" + TEXT.encode("utf-16-be"),
    "lines of Windows": TEXT.replace("\n", "\r\n").encode(),
    "lines of an old Mac": TEXT.replace("\n", "\r").encode(),
    "no end of line": TEXT.rstrip().encode(),
    "semicolons": b'a;b\n1;x, y\n2;"\xc3\xa9"\n',
    "a first line of Excel's": b'sep=;\r\na;b\r\n1;x, y\r\n2;"\xc3\xa9"\r\n',
    "tabs": b"a\tb\n1\tx, y\n2\t\xc3\xa9\n",
    "blanks": b'a, b \n 1 , "x, y"\n2,\xc2\xa0\xc3\xa9\n',
    "empty lines": b'\na,b\n\n1,"x, y"\n\n2,\xc3\xa9\n\n',
    "empty rows": b'a,b\n1,"x, y"\n , \n2,\xc3\xa9\n,\n,\n',
}


@pytest.fixture
def read(tmp_path):
    def read(content):
        (tmp_path / "u.csv").write_bytes(content)
        return read_csv(tmp_path / "u.csv")

    return read


@pytest.mark.parametrize("content", SAME.values(), ids=SAME)
def test_the_same_rows(read, content):
    table = read(content)
    assert list(table) == ["a", "b"]
    assert table.to_numpy().tolist() == [["1", "x, y"], ["2", "é"]]


def test_lines_are_those_of_the_file(read):
    table = read(b'a,b\r\n"x\r\ny",1\r\n\r\n"z\n\n",2\nv,"\xe2\x80\xa8\x0b"\nw,3')
    assert [where.rpartition("u.csv: ")[2] for where in table.index] == ["line 2", "line 5", "line 8", "line 9"]
    assert table.a.tolist() == ["x\r\ny", "z", "v", "w"]


def test_characters_of_windows_that_were_read_as_latin_1(read):
    """MELD's sentences have them, in more than one copy that goes round."""
    table = read("a,b\nI\x92m caf\xe9\x85,\x93Oh\x94 \x97\n".encode())
    assert table.to_numpy().tolist() == [["I’m café…", "“Oh” —"]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "u.csv: found an empty file; expected a CSV file"),
        (b"a,b\n", "u.csv: found no utterance; expected a header, and a row for each"),
        (b"\n\n", "found no utterance"),
        (
            b'a,b\n"x\n\ny",1\n\n2,3,4\n',
            "u.csv: line 6: found 3 cells, but the header has 2; put cells with a comma in",
        ),
        (b"# mine\na,b,c,d\n", "u.csv: line 2: found 4 cells, but the header has 1; the first line has to name"),
        (b"a,b\n1,2\n3\n", "u.csv: line 3: found 1 cells, but the header has 2; no cell may be left out"),
        (b"a,b,A\n1,2,3\n", "u.csv: columns 'a' and 'A' have one name; rename or remove all but one"),
        (b"a b,a_b\n1,2\n", "columns 'a b' and 'a_b' have one name"),
        (b'a,b\n1,2\n"x" y,2\n', "line 3: quotation marks do not fit together in the row that begins there"),
        (b'a,b\n1,2\n\n"x,2\n3,4\n', "line 4: quotation marks do not fit together in the row that begins there"),
        (
            b"a,b\n1,caf\xe9 \x92\n",
            r"line 2: found text that is not UTF-8, '1,café' if .*iconv -f CP1252 -t UTF-8",
        ),
        (b"\xff\xfea\0,\0b\0\n\0x", "u.csv: found UTF-16 that is cut off or damaged; save it again"),
        ("a,b\n1,2\n".encode("utf-16-le"), "found UTF-16 without its mark; expected UTF-8; convert it: `iconv"),
        (b"\x93NUMPY\x01\0v\0{'descr'", "found no text; expected a CSV file"),
        (b"PK\x03\x04xl", "found an Excel workbook or a zip archive; expected a CSV file .*save it as 'CSV UTF-8'"),
        (b"\x1f\x8b\x08", r"found a file packed by gzip \(`gzip -dc FILE > NEW` unpacks it\)"),
        (b"<!DOCTYPE html><title>Log in</title>", r"found a web page \('Log in'\)"),
        (b"version https://git-lfs.github.com/spec/v1\n", "found a Git LFS pointer"),
    ],
)
def test_what_is_wrong_is_named(read, content, message):
    with pytest.raises(InputError, match=message):
        read(content)


def test_what_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none.csv: no such file; expected a CSV file"):
        read_csv(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"not readable \(Is a directory\)"):
        read_csv(tmp_path)
