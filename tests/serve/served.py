"""What the tests of the server share."""

import zipfile
from dataclasses import replace
from io import BytesIO

import pandas as pd

from cardiolens.phantom.dicom import write_dicom
from cardiolens.store import StudyStore
from drawn_phantom import phantom

WHOLE, LONG, OTHER = "site_p1/a1", "site_p2/a2", "site_p3/a3"
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
TOKEN = "a token that is long enough"  # noqa: S105


def desk_of(client):
    return client.app.state.desk


def done(client, answer, seconds=60):
    """The job of an answer once it has ended."""
    assert answer.status_code == 202, answer.text
    return desk_of(client).jobs.wait(answer.json()["id"], seconds)


def drawn(client, key=WHOLE):
    """Draw a study; its reading."""
    assert done(client, client.post("/api/jobs", json={"kind": "segment", "keys": [key]})).state == "done"
    return client.get(f"/api/studies/{key}/reading").json()


def fill(path):
    """Three studies of three patients and their labels."""
    made = StudyStore(path, mode="a")
    study = phantom()
    made.write(replace(study, report=f"The left ventricle is normal. {HOSTILE}"), key=WHOLE)
    made.write(replace(study, cines=(study.cine("4CH"),), sex="F", age=40.0), key=LONG)
    brighter = replace(study.cine("SAX"), frames=(study.cine("SAX").frames // 2))
    made.write(replace(study, cines=(brighter, study.cine("4CH"))), key=OTHER)
    labels = {"lvef": [61.0, 35.0, 48.0], "conditions": [HOSTILE, "myocarditis", None], "scanner": ["A", "B", "A"]}
    made.write_labels(pd.DataFrame(labels, index=pd.Index([WHOLE, LONG, OTHER], name="key")))
    made.close()
    return made.path


def packed(*members, **how):
    """A zip of (name or ZipInfo, content)."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, **how) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def zipped(study, folder):
    """A study as a zip of DICOM files, written to a new folder first."""
    write_dicom(study, folder, style="enhanced")
    return packed(*((path.name, path.read_bytes()) for path in sorted(folder.iterdir())))
