"""The spool gives back what was accepted, and nothing that was not."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.lake.errors import LeaseError, ServiceError
from jobs.produce import spool as spool_module
from jobs.produce.frames import packed, unpacked
from jobs.produce.records import Record
from jobs.produce.spool import Spool

HEAD_BYTES = 20
bytes_or_null = st.none() | st.binary(max_size=50)
any_record = st.builds(
    Record,
    topic=st.sampled_from(["views", "likes"]),
    key=bytes_or_null,
    value=bytes_or_null,
    headers=st.lists(st.tuples(st.text(max_size=9), st.binary(max_size=9)), max_size=4),
)


def records(*names: str) -> list[Record]:
    return [Record("likes", b"u", name.encode(), [("ce_id", b"1")]) for name in names]


@given(st.lists(any_record, max_size=9))
def test_any_records_survive_packing(given_records):
    assert unpacked(packed(given_records)[HEAD_BYTES:]) == given_records


def test_what_was_not_acknowledged_is_found_by_the_next_epoch(tmp_path):
    first = Spool(tmp_path / "spool")
    done, _ = first.append(records("a", "b")), first.append(records("c"))
    first.acknowledge(done)
    first.close(is_empty=False)

    second = Spool(tmp_path / "spool")
    assert [second.load(batch) for batch in second.left_over] == [records("c")]
    assert (second.producer_id, second.epoch) == (first.producer_id, first.epoch + 1)


def test_what_was_acknowledged_is_gone(tmp_path):
    first = Spool(tmp_path / "spool")
    first.acknowledge(first.append(records("a")))
    first.close(is_empty=True)
    assert Spool(tmp_path / "spool").left_over == []
    assert list((tmp_path / "spool" / "segments").iterdir()) == []


@pytest.mark.parametrize("harm", ["cut", "garbled"])
def test_a_torn_last_write_is_left_out_and_all_before_it_kept(tmp_path, harm):
    first = Spool(tmp_path / "spool")
    first.append(records("whole"))
    torn = first.append(records("torn"))
    first.close(is_empty=False)
    (segment,) = (tmp_path / "spool" / "segments").iterdir()
    content = bytearray(segment.read_bytes())
    if harm == "cut":
        del content[torn.end - 3 :]
    else:
        content[torn.end - 3] ^= 1
    segment.write_bytes(content)

    second = Spool(tmp_path / "spool")
    assert [second.load(batch) for batch in second.left_over] == [records("whole")]
    second.append(records("new"))
    second.close(is_empty=False)
    third = Spool(tmp_path / "spool")
    assert [third.load(batch) for batch in third.left_over] == [records("whole"), records("new")]


def test_long_spools_are_cut_into_segments_and_finished_ones_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(spool_module, "SEGMENT_BYTES", 10)
    spool = Spool(tmp_path / "spool")
    batches = [spool.append(records(name)) for name in "abc"]
    assert [batch.segment for batch in batches] == [1, 2, 3]
    spool.acknowledge(batches[1])
    assert sorted(path.name for path in (tmp_path / "spool" / "segments").iterdir()) == [
        "000000002.log",
        "000000003.log",
    ]
    spool.close(is_empty=False)
    again = Spool(tmp_path / "spool")
    assert [again.load(batch) for batch in again.left_over] == [records("c")]


def test_two_processes_cannot_hold_one_spool(tmp_path):
    holder = Spool(tmp_path / "spool")
    with pytest.raises(LeaseError, match="another process"):
        Spool(tmp_path / "spool")
    holder.close(is_empty=True)
    assert Spool(tmp_path / "spool").epoch == 2


@pytest.mark.parametrize("is_torn", [True, False])
def test_a_full_disk_refuses_the_batch_and_the_spool_goes_on(tmp_path, monkeypatch, *, is_torn):
    spool = Spool(tmp_path / "spool")
    spool.append(records("before"))

    def full(_):
        if is_torn:  # the disk has room for a part
            path = max((tmp_path / "spool" / "segments").glob("*.log"))
            os.truncate(path, path.stat().st_size - 3)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ServiceError, match="No space left"):
            spool.append(records("lost"))
    spool.append(records("after"))
    spool.close(is_empty=False)
    again = Spool(tmp_path / "spool")
    assert [again.load(batch) for batch in again.left_over] == [records("before"), records("after")]


def test_refused_records_are_kept_with_their_bytes(tmp_path):
    spool = Spool(tmp_path / "spool")
    spool.refused.keep(Record("likes", b"u", b"\xff", []), {"invalid_utf8": "why"}, place="line 3")
    spool.close(is_empty=True)
    (kept,) = (tmp_path / "spool" / "refused").iterdir()
    line = json.loads(kept.read_text())
    assert line["value_base64"] == "/w=="
    assert (line["reasons"], line["place"]) == (["invalid_utf8"], "line 3")
