"""Files, folders and zip archives in any mix: what can be read is read, and everything else gets its sentence."""

import io
import os
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from engine.documents.gather import gather
from engine.documents.limits import HIGHEST_RATIO, LARGEST_LISTING, LARGEST_TEXT, LARGEST_UNPACKED, MIB, MOST_FILES
from engine.errors import InvalidInput, NotFound
from engine.settings import Settings
from engine.workspace import Workspace
from tests.pdfs import encrypted_pdf, text_pdf


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def pack(path: Path, members: dict[str, bytes | str], **how: int) -> Path:
    with zipfile.ZipFile(path, "w", **{"compression": zipfile.ZIP_DEFLATED, **how}) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def rule(number: int) -> str:
    return f"Rule {number} says that everyone must ask first."


def test_files_folders_and_archives_are_read_together_in_order(tmp_path):
    folder = tmp_path / "policies"
    write(folder / "b.md", rule(1))
    write(folder / "a" / "deep" / "c.txt", rule(2))
    write(folder / ".git" / "hidden.md", rule(3))
    write(folder / ".hidden.md", rule(4))
    pack(folder / "z.zip", {"x/second.md": rule(6), "first.html": f"<p>{rule(5)}", "__MACOSX/x/._second.md": "junk"})
    single = write(tmp_path / "one.pdf", text_pdf([rule(0)]))
    found = gather([single, folder])
    assert [document.name for document in found.documents] == ["one.pdf", "b.md", "first.html", "second.md", "c.txt"]
    assert [document.text for document in found.documents] == [rule(number) for number in (0, 1, 5, 6, 2)]
    assert found.refused == ()


def test_each_bad_file_gets_its_sentence_and_the_rest_goes_on(tmp_path):
    write(tmp_path / "a.md", rule(1))
    write(tmp_path / "empty.txt", b"")
    write(tmp_path / "locked.pdf", encrypted_pdf("Secret", "user"))
    write(tmp_path / "rows.csv", "a,b\n1,2\n")
    write(tmp_path / "again.md", rule(1))
    found = gather([tmp_path, tmp_path / "nowhere.md"])
    assert [document.name for document in found.documents] == ["a.md"]
    starts = ["There is no file", "again.md says the same as a.md", "empty.txt is empty", "locked.pdf is encrypted"]
    assert len(found.refused) == 5
    assert all(any(said.startswith(start) for said in found.refused) for start in [*starts, "rows.csv is a .csv file"])


def test_a_lone_bad_file_and_nothing_at_all_are_errors(tmp_path):
    with pytest.raises(NotFound, match="There is no file"):
        gather([tmp_path / "nowhere.md"])
    with pytest.raises(InvalidInput, match="No document was chosen"):
        gather([])
    with pytest.raises(InvalidInput, match=r"^empty\.txt is empty"):
        gather([write(tmp_path / "empty.txt", b"")])
    with pytest.raises(InvalidInput, match=r"None of the files could be read. blank.txt is empty .*empty.txt is empty"):
        gather([write(tmp_path / "blank.txt", b" "), tmp_path / "empty.txt"])
    (tmp_path / "bare").mkdir()
    with pytest.raises(InvalidInput, match="holds no file to read"):
        gather([tmp_path / "bare"])


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.md")
    write(tmp_path / "a.md", rule(1))
    found = gather([tmp_path])
    assert len(found.documents) == 1 and "pipe.md is neither a file nor a folder" in found.refused[0]


def hostile(name: str, *, mode: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def test_what_an_archive_should_not_hold_is_refused_member_by_member(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as nested:
        nested.writestr("deep.md", rule(9))
    path = tmp_path / "mixed.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.md", rule(1))
        archive.writestr(hostile("../../out.md"), rule(2))
        archive.writestr(hostile("a\\..\\..\\win.md"), rule(2))
        archive.writestr(hostile("/etc/abs.md"), rule(3))
        archive.writestr(hostile("C:\\abs.md"), rule(3))
        archive.writestr(hostile("link.md", mode=stat.S_IFLNK | 0o777), "/etc/passwd")
        archive.writestr("inner.zip", inner.getvalue())
        archive.writestr("disguised.md", inner.getvalue())
        archive.writestr("zeros.txt", b"a" * (8 * MIB))
        archive.writestr("new\nline.csv", b"1,2")
    found = gather([path])
    assert [document.name for document in found.documents] == ["good.md"]
    for said in (
        "../../out.md points outside the archive",
        "a\\..\\..\\win.md points outside the archive",
        "/etc/abs.md has an absolute name",
        "C:\\abs.md has an absolute name",
        "link.md is a link",
        "inner.zip is an archive within the archive",
        "disguised.md is a zip archive",
        "times its size, as zip bombs do",
        "new?line.csv is a .csv file",
    ):
        assert sum(said in sentence for sentence in found.refused) == 1, said
    assert len(found.refused) == 9
    assert all(sentence.startswith("mixed.zip: ") and "\n" not in sentence for sentence in found.refused)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["mixed.zip"]


def flip(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))


def test_an_encrypted_or_damaged_member_is_named_and_the_others_are_read(tmp_path):
    path = pack(tmp_path / "a.zip", {"locked.md": rule(1), "torn.md": rule(2), "whole.md": rule(3)}, compression=0)
    flip(path, rule(2).encode(), rule(7).encode())  # its check sum is still that of the old words
    data = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1  # the first member counts as encrypted
    path.write_bytes(data)
    found = gather([path])
    assert [document.name for document in found.documents] == ["whole.md"]
    assert "locked.md is encrypted. Pack it without a password" in found.refused[0]
    assert "torn.md is damaged in the archive (Bad CRC-32" in found.refused[1]


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path):
    each = LARGEST_UNPACKED // 10
    path = pack(tmp_path / "bomb.zip", {f"{number:02}.md": rule(number) for number in range(11)}, compression=0)
    data = path.read_bytes()
    size = len(rule(0))
    data = data.replace(struct.pack("<L", size) * 2, struct.pack("<LL", size, each))  # what the listing says of each
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match=r"bomb\.zip unpacks to [\d,.]+ MiB; at most"):
        gather([path])


def test_a_member_that_holds_more_than_it_says_gives_no_more_than_that(tmp_path):
    path = pack(tmp_path / "liar.zip", {"liar.md": b"word " * MIB, "good.md": rule(1)})
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<L", 5 * MIB), struct.pack("<L", 500)))
    found = gather([path])
    assert [document.name for document in found.documents] == ["good.md"]
    assert "liar.md is damaged in the archive" in found.refused[0]


def test_a_listing_made_to_fill_the_memory_is_not_read(tmp_path):
    path = pack(tmp_path / "long.zip", {"a.md": rule(1)})
    data = path.read_bytes()
    end = data.rindex(b"PK\x05\x06")
    listing = data[data.index(b"PK\x01\x02") : end]
    many = listing * (LARGEST_LISTING // len(listing) + 1)
    tail = data[end : end + 12] + struct.pack("<L", len(many)) + data[end + 16 :]
    path.write_bytes(data[: data.index(b"PK\x01\x02")] + many + tail)
    with pytest.raises(InvalidInput, match="its list of members is longer than 8 MiB"):
        gather([path])


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"PK\x03\x04" + b"\x00" * 40, "is a damaged zip archive"), (b"PK\x05\x06" + b"\x00" * 18, "holds no file")],
)
def test_a_broken_or_empty_archive_is_one_sentence(tmp_path, content, says):
    with pytest.raises(InvalidInput, match=says):
        gather([write(tmp_path / "a.zip", content)])


def test_thousands_of_members_are_read_and_too_many_are_refused(tmp_path):
    path = pack(tmp_path / "many.zip", {f"{number:05}.md": rule(number) for number in range(800)})
    seen: list[tuple[str, int, int]] = []
    found = gather([path], watch=lambda *said: seen.append(said))
    assert [document.text for document in found.documents] == [rule(number) for number in range(800)]
    assert seen[0] == ("Reading documents", 0, 800) and seen[-1] == ("Reading documents", 800, 800)
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        for number in range(MOST_FILES + 1):
            archive.writestr(f"{number}.md", b"")
    with pytest.raises(InvalidInput, match="holds 10,001 files; at most 10,000 are read"):
        gather([tmp_path / "more.zip"])


def test_a_zip_packed_by_a_rare_method_is_refused_because_it_unpacks_without_bound(tmp_path):
    path = pack(tmp_path / "a.zip", {"a.md": rule(1)}, compression=zipfile.ZIP_BZIP2)
    with pytest.raises(InvalidInput, match="packed by a method other than deflate"):
        gather([path])


def test_a_word_file_is_a_document_and_no_archive_even_when_its_text_is_a_bomb(tmp_path):
    start = '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>'
    end = "</w:t></w:r></w:p></w:body></w:document>"
    good = pack(tmp_path / "good.docx", {"[Content_Types].xml": "", "word/document.xml": start + rule(1) + end})
    big = pack(tmp_path / "big.docx", {"word/document.xml": start + "x" * LARGEST_TEXT + end})
    assert big.stat().st_size * HIGHEST_RATIO < LARGEST_TEXT
    found = gather([good, big])
    assert [document.text for document in found.documents] == [rule(1)]
    assert "big.docx unpacks to more than 50 MiB" in found.refused[0]


def test_the_workspace_keeps_what_was_read(tmp_path):
    workspace = Workspace.open(Settings(tmp_path / "ws", tmp_path / "models", 1))
    found = workspace.add_files([pack(tmp_path / "a.zip", {"a.md": rule(1), "b.csv": "1"})])
    assert workspace.store.documents() == list(found.documents)
    assert len(found.documents) == 1 and len(found.refused) == 1


def test_the_original_is_kept_beside_the_store_under_the_documents_id(tmp_path):
    workspace = Workspace.open(Settings(tmp_path / "ws", tmp_path / "models", 1))
    pdf = text_pdf([rule(1)])
    path = pack(tmp_path / "a.zip", {"one.md": rule(0), "two.upper.PDF": pdf})
    one, two = workspace.add_files([path]).documents
    kept = workspace.original(two)
    assert kept == tmp_path / "ws" / "documents" / f"{two.id}.pdf" and kept.read_bytes() == pdf
    assert sorted(entry.name for entry in kept.parent.iterdir()) == sorted([f"{one.id}.md", f"{two.id}.pdf"])


def test_masking_keeps_neither_the_personal_data_nor_the_file(tmp_path):
    workspace = Workspace.open(Settings(tmp_path / "ws", tmp_path / "models", 1))
    secret = "Write to jane.doe@example.org before you go."
    found = workspace.add_files([write(tmp_path / "a.md", secret), write(tmp_path / "b.md", rule(1))], masking=True)
    assert [document.text for document in workspace.store.documents()] == [
        "Write to [e-mail address] before you go.",
        rule(1),
    ]
    assert all(workspace.original(document) is None for document in found.documents)
    everything = [entry.read_bytes() for entry in (tmp_path / "ws").rglob("*") if entry.is_file()]
    assert everything and not any(b"jane.doe" in content for content in everything)
