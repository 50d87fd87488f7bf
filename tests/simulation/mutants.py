"""Changes to the code that the simulation must find: `python -m tests.simulation.mutants [part of a name ...]`.

Copies the code and the simulation, makes one change at a time, and says after how many messages it was found. Exit
status 1 when one is not found within 100,000 messages, or cannot be made.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SEEDS, MESSAGES = "27,44,32,39,23,64,1-20", 4_000
"""The first two write much at once: one to a table that takes nothing, one within a share of write units. Then come
reads whose answers hold what nobody asked for, a queue that keeps groups in order, reads that come back in part, and a
table that takes nothing for long."""
MAX_SECONDS = 900.0
_FOUND = re.compile(r"^FOUND after ([0-9,]+) messages, by seed ([0-9]+): (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of the code."""

    name: str
    file: str
    """Path from the project's root."""
    old: str
    """Stands exactly once in the file."""
    new: str


LANES, QUEUES = "sluice/writing/lanes.py", "sluice/writing/queues.py"
WRITER, PENDING, SEND_RATE = "sluice/writing/writer.py", "sluice/writing/pending.py", "sluice/writing/send_rate.py"
HTTP, CONNECTION, PARSER = "sluice/aws/http.py", "sluice/aws/connection.py", "sluice/aws/http_parser.py"
READS, UNCHANGED, EQUALITY = "sluice/aws/reads.py", "sluice/writing/unchanged.py", "sluice/message/equality.py"
TABLES, QUEUE, MEANINGS = "sluice/aws/tables.py", "sluice/aws/queue.py", "sluice/aws/meanings.py"

# ruff: noqa: E501
# fmt: off
MUTANTS: Sequence[Mutant] = (
    # The writer
    Mutant("what came back unprocessed counts as written", WRITER, "unwritten = set(reply.unwritten)", "unwritten: set[Operation] = set()"),
    Mutant("a throttled call is not tried again", WRITER, "                self.outcome.throttled_calls += 1\n                self.outcome.trouble = reply.error\n                self._try_later(sent.batch, sent.alone, now)",
           "                self.outcome.throttled_calls += 1\n                self.outcome.trouble = reply.error"),
    Mutant("superseded before the write that replaces it is there", WRITER, "        self._extend(self._lanes.add(plan.interleave(operations)))",
           "        self._extend(self._lanes.add(plan.interleave(operations)))\n        self.outcome.superseded.update(o for lane in self._lanes._steps.values() for s in lane for o in s.superseded)"),
    Mutant("the second write of an item does not wait for the first", LANES, "                first.append(steps[0].operation)", "                first.extend(step.operation for step in steps)"),
    Mutant("what a refused write would have replaced is forgotten", LANES, "lane.extendleft(reversed(lane.popleft().without()))", "lane.popleft()"),
    Mutant("whoever is denied is rejected", WRITER, "self.outcome.denied[sent.batch[0]] = reply.error", "self._reject(sent.batch[0], reply)"),
    # Reading before writing
    Mutant("what could not be read counts as unchanged", UNCHANGED, "                found.to_write.append(operation)\n                continue", "                found.unchanged.append(operation)\n                continue"),
    Mutant("what could not be read is not written", UNCHANGED, "                found.to_write.append(operation)\n                continue", "                continue"),
    Mutant("what has changed is not written", WRITER, "        self._pending.extend(found.to_write)", "        pass"),
    Mutant("every item that is there counts as unchanged", UNCHANGED, "if wanted is not None and are_equal(wanted, stored):", "if wanted is not None:"),
    Mutant("what stands there besides does not count", EQUALITY, "if item.keys() != stored.keys():", "if not item.keys() <= stored.keys():"),
    Mutant("a delete of what is there is skipped", UNCHANGED, "return found.unchanged if wanted is None else found.to_write", "return found.unchanged"),
    Mutant("a key that came back unprocessed is not in the table", READS, "            del unasked[_identity(table, key, attributes)]", "            pass"),
    Mutant("an answer without UnprocessedKeys is whole", READS, "    UnprocessedKeys: dict[str, _Keys]\n", "    UnprocessedKeys: dict[str, _Keys] = {}\n"),
    Mutant("an answer that says nothing of the table found nothing", READS, "if unasked and table not in responses:", "if False:"),
    Mutant("an item that nobody asked for is passed over", READS, "            found[unasked.pop(_identity(table, key, item))] = item", "            if (k := _identity(table, key, item)) in unasked:\n                found[unasked.pop(k)] = item"),
    Mutant("items are taken in the order of the keys", READS, "            found[unasked.pop(_identity(table, key, item))] = item", "            found[unasked.pop(next(iter(unasked)))] = item"),
    Mutant("what a read may say is of a while ago", READS, '"ConsistentRead": True', '"ConsistentRead": False'),
    Mutant("a newer version that stands there is overlooked", UNCHANGED, "not items.is_newer(version, held)", "items.is_newer(version, held)"),
    Mutant("a skipped operation leaves its lane as it was", WRITER, "        self._finish(found.unchanged)", "        self.outcome.written.update(found.unchanged)"),
    # The send rate, and what waits
    Mutant("what came back is not sent again", QUEUES, "            self.repeated.append(operation)", "            pass"),
    Mutant("what is hot is not sent again", QUEUES, "            self.hot.append(operation)", "            pass"),
    Mutant("the share of write units is not paid", PENDING, "            self._share = self._share.spend(estimate, now)\n            self._tables", "            self._tables"),
    Mutant("a bucket of write units is never empty", SEND_RATE, "return self if self.rate == math.inf else Bucket(self.rate, self._filled(now) - units, now)", "return self"),
    Mutant("the send rate learns nothing", SEND_RATE, "        closed = self.closed + (", "        return self\n        closed = self.closed + ("),
    Mutant("single writes of a table that may go are not seen", PENDING, "            if queues.single and self._send_rate_of(table).wait(now) <= 0:\n                return", "            if queues.single and self._send_rate_of(table).wait(now) < 0:\n                return"),
    # The HTTP client, its connections and the parser
    Mutant("a connection that still owes an answer is used again", HTTP, "        if self._connection is not None:\n            self._connection.close()\n        self._outcome = error",
           "        if self._connection is not None:\n            self._connection.may_be_kept = True\n            self._client.keep(self._connection)\n        self._outcome = error"),
    Mutant("a connection is used whatever has come on it meanwhile", HTTP, "<= MAX_IDLE and connection.is_quiet():", "<= MAX_IDLE:"),
    Mutant("a connection that could not be made is always counted", HTTP, "        finally:\n            with self._lock:\n                self._connecting -= 1",
           "        except ZeroDivisionError:\n            with self._lock:\n                self._connecting -= 1"),
    Mutant("the service's clock is not believed", HTTP, "        self._signer.correct(date)", "        pass"),
    Mutant("what was sent in part is sent again from its beginning", CONNECTION, "                rest = rest[self._socket.send(rest) :]",
           "                rest = rest if self._socket.send(rest) < len(rest) else memoryview(b'')"),
    Mutant("what a socket takes is taken for all of it", CONNECTION, "                rest = rest[self._socket.send(rest) :]",
           "                rest = rest[self._socket.send(rest) :][:0]"),
    Mutant("the end of a connection is the end of its answer", PARSER, '    raise ConnectionResetError("the connection ended before the answer did")',
           '    raise StopIteration'),
    # What answers mean
    Mutant("no answer counts as written", MEANINGS, "return Reply(Meaning.UNSURE, error=answer.reason)", "return Reply(Meaning.ACCEPTED)"),
    Mutant("a 500 counts as written", MEANINGS, '"InternalServerError": Meaning.UNSURE', '"InternalServerError": Meaning.ACCEPTED'),
    Mutant("an answer without UnprocessedItems counts as written", TABLES, 'return Reply(Meaning.UNSURE, error="an answer without UnprocessedItems")', "return Reply(Meaning.ACCEPTED, (), units)"),
    Mutant("an unprocessed item that nobody sent is passed over", TABLES, "                    return batch\n", "                    continue\n"),
    Mutant("a token of its own for every receive", TABLES, 'name = f"{source.message_id}/', 'name = f"{source.redelivered}{source.message_id}/'),
    Mutant("UPDATE_ONCE ignored", TABLES, "if operation.is_once:", "if False:"),
    # SQS
    Mutant("a dead letter that failed counts as sent", QUEUE, 'self.taken.update(int(entry["Id"]) for entry in successful)', 'self.taken.update(int(entry["Id"]) for entry in entries)'),
    Mutant("a dead letter without an answer counts as sent", QUEUE, "            self.failures.append(answer.name if isinstance(answer, Refusal) else answer.reason)\n",
           '            self.taken.update(int(entry["Id"]) for entry in entries)\n'),
    # The pipeline
    Mutant("it writes until the timeout", "functions/batch_writer/pipeline.py", "deadline=ends - margin,", "deadline=ends,"),
    Mutant("acknowledged after one of its group that is not done", "functions/batch_writer/fates.py", "if message.group not in held and is_done(message):", "if is_done(message):"),
    Mutant("a group goes on after the first operation of a message", "functions/batch_writer/fifo.py", "if self._left[message] == 0 and", "if self._left[message] >= 0 and"),
    Mutant("a group comes back piece by piece", "functions/batch_writer/notices.py", "seconds = of_group.setdefault(message.group, seconds)", "pass"),
)
# fmt: on


def survives(directory: Path, mutant: Mutant) -> bool:
    """Whether the simulation does not find it. Leaves the copy as it was."""
    path = directory / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        return _say("CANNOT", mutant.name, f"its text stands {text.count(mutant.old)} times in {mutant.file}")
    path.write_text(text.replace(mutant.old, mutant.new))
    try:
        output = run(directory)
    finally:
        path.write_text(text)
    found = _FOUND.search(output)
    if found is None:
        return _say("SURVIVES", mutant.name, output[-300:])
    _say(f"{found[1]:>8}", mutant.name, f"seed {found[2]}: {found[3][:120]}")
    return False


def run(directory: Path) -> str:
    """What the simulation prints."""
    command = [sys.executable, "-m", "tests.simulation", "--seeds", SEEDS, "--messages", str(MESSAGES)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(directory)}
    try:
        finished = subprocess.run(
            command, cwd=directory, env=environment, capture_output=True, text=True, check=False, timeout=MAX_SECONDS
        )
    except subprocess.TimeoutExpired:
        return "it does not end"
    return finished.stdout + finished.stderr


def _say(verdict: str, name: str, why: str) -> bool:
    print(f"{verdict:9} {name:62} {why}", flush=True)  # noqa: T201
    return True


def main(parts: Sequence[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if not parts or any(part in mutant.name for part in parts)]
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        for part in ("functions", "sluice", "tests"):
            shutil.copytree(ROOT / part, directory / part, ignore=shutil.ignore_patterns("__pycache__"))
        left = [mutant for mutant in chosen if survives(directory, mutant)]
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
