"""Archives and folders: nothing is unpacked, nothing is unbounded."""

import io
import struct
import tarfile
import zipfile

import pytest

from cardiolens.dicom import files
from cardiolens.dicom.files import FileRef, archive_contents, list_files, natural_key, open_files
from cardiolens.errors import ReadError


def names(path):
    return [ref.member for ref, _ in archive_contents(str(path))]


def make_tar(path, members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def test_names_sort_as_people_count():
    refs = [FileRef(f"a/img{n}.dcm") for n in (10, 2, 1)]
    assert [ref.short_name for ref in sorted(refs, key=natural_key)] == ["img1.dcm", "img2.dcm", "img10.dcm"]


def test_a_path_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ReadError, match="nowhere: no such file"):
        list_files([tmp_path / "nowhere"])


def test_a_broken_link_does_not_stop_the_listing(tmp_path):
    (tmp_path / "gone").symlink_to(tmp_path / "missing")
    (tmp_path / "here").write_bytes(b"x")
    plain, archives = list_files([tmp_path])
    assert [ref.short_name for ref in plain] == ["here"]
    assert archives == []


def test_the_same_file_given_twice_is_listed_once(tmp_path):
    (tmp_path / "here").write_bytes(b"x")
    plain, _ = list_files([tmp_path, tmp_path / "here"])
    assert len(plain) == 1


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_member_names_that_climb_out_are_only_labels(tmp_path, kind):
    folder = tmp_path / "in"
    folder.mkdir()
    path = folder / f"evil.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("../../evil.txt", b"boo")
            archive.writestr("/etc/evil", b"boo")
    else:
        make_tar(path, {"../../evil.txt": b"boo", "/etc/evil": b"boo"})
    contents = list(archive_contents(str(path)))
    assert [content for _, content in contents] == [b"boo", b"boo"]
    assert sorted(p.name for p in tmp_path.rglob("*")) == [path.name, "in"]


def test_links_in_a_tar_are_not_followed(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        archive.addfile(link)
    assert names(path) == []


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_MEMBERS", 3)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for n in range(4):
            archive.writestr(str(n), b"")
    with pytest.raises(ReadError, match="more than 3 members"):
        names(tmp_path / "a.zip")


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(files, "MAX_TOTAL_BYTES", 1 << 20)
    path = tmp_path / f"a.{kind}"
    content = bytes(1 << 19)
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for n in range(4):
                archive.writestr(str(n), content)
    else:
        make_tar(path, {str(n): content for n in range(4)}, "w:gz")
    assert path.stat().st_size < 10_000
    with pytest.raises(ReadError, match="unpacks to more than"):
        names(path)


def test_a_tar_header_that_lies_about_its_size_is_refused(tmp_path):
    make_tar(tmp_path / "a.tar", {"x": b"abc"})
    raw = bytearray((tmp_path / "a.tar").read_bytes())
    raw[124:136] = b"\x80" + struct.pack(">3xQ", 1 << 50)  # GNU base-256 size
    raw[148:156] = b" " * 8
    raw[148:156] = f"{sum(raw[:512]):06o}\0 ".encode()
    (tmp_path / "a.tar").write_bytes(raw)
    with pytest.raises(ReadError):
        names(tmp_path / "a.tar")


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar"])
def test_a_cut_archive_is_named(tmp_path, kind):
    path = tmp_path / f"half.{kind}"
    content = {f"{n}": bytes(range(256)) * 40 for n in range(5)}
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in content.items():
                archive.writestr(name, data)
    else:
        make_tar(path, content, "w:gz" if kind == "tar.gz" else "w")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(ReadError, match=f"half.{kind}: damaged archive"):
        names(path)


def test_open_files_gives_members_in_one_pass_and_names_the_missing(tmp_path):
    path = tmp_path / "a.tgz"
    make_tar(path, {str(n): str(n).encode() for n in range(5)}, "w:gz")
    refs = [FileRef(str(path), "3"), FileRef(str(path), "1")]
    assert {ref.member: stream.read() for ref, stream in open_files(refs)} == {"1": b"1", "3": b"3"}
    with pytest.raises(ReadError, match="9 is no longer in the archive"):
        list(open_files([FileRef(str(path), "9")]))
