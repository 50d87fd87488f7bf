"""SQS as the function meets it: the dead-letter queue, and the visibility of what is returned."""

from __future__ import annotations

from typing import Any

from .chance import Chance
from .model import Model, ViolationError
from .queues import Queue
from .service import Service
from .tables import Json
from .virtual_time import Time
from .wire import Call, first_id
from .workload import Workload

MAX_ENTRIES = 10  # SQSDeveloperGuide, quotas-messages


class Sqs(Service):
    """The dead-letter queue, and the visibility of what is on the queue."""

    def __init__(self, time: Time, chance: Chance, model: Model, workload: Workload, queue: Queue, dlq: str) -> None:
        super().__init__(time, chance, model, workload, "sqs")
        self._queue, self._dlq = queue, dlq

    def read(self, call: Call) -> None:
        entries = call.body["Entries"]
        if not 1 <= len(entries) <= MAX_ENTRIES or len({entry["Id"] for entry in entries}) < len(entries):
            raise ViolationError("a batch that SQS would not take", first_id(call.invocation))
        if (call.action == "SendMessageBatch") != (call.body["QueueUrl"] == self._dlq):
            raise ViolationError(f"{call.action} of {call.body['QueueUrl']}", first_id(call.invocation))
        if call.action == "SendMessageBatch":
            ids = [entry["MessageAttributes"]["SourceMessageId"]["StringValue"] for entry in entries]
        else:
            ids = [entry["ReceiptHandle"].partition("#")[0] for entry in entries]
        call.about = [self.workload.by_id[id] for id in ids]

    def carry_out(self, call: Call) -> tuple[int, Json]:
        if self.chance.level and self.chance.hits("SQS too fast", 0.02):
            return 400, self.throttle(call)
        successful: list[Json] = []
        failed: list[Json] = []
        for entry, message in zip(call.body["Entries"], call.about, strict=True):
            if self.chance.level and self.chance.hits("SQS entry failed", 0.02):
                failed.append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
            elif call.action == "SendMessageBatch":
                self.model.letter(call.invocation, entry)
                successful.append({"Id": entry["Id"], "MessageId": f"letter-{self.calls}", "MD5OfMessageBody": "0"})
            else:
                receipt, seconds = entry["ReceiptHandle"], entry["VisibilityTimeout"]
                self.model.visibility(call.invocation, receipt, seconds)
                self._queue.change_visibility(message, receipt, float(seconds), self.time.now)
                successful.append({"Id": entry["Id"]})
        return 200, {"Successful": successful, "Failed": failed}

    def throttle(self, call: Call) -> Json:  # noqa: ARG002
        return {"__type": "com.amazonaws.sqs#RequestThrottled", "message": "too fast"}

    def wrong_types(self, body: Json) -> Any:
        return self.random.choice(([], {**body, "Successful": "all"}, {**body, "Successful": [1, 2]}))

    def without_member(self, body: Json) -> Json:
        return {"Successful": body["Successful"][1:]}

    def about_something_else(self, body: Json) -> Json:
        return {**body, "Successful": [{"Id": "4711"}, *body["Successful"]]}
