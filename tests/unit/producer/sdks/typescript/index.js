export class SendMessageBatchCommand {
  constructor(input) {
    this.input = input;
  }
}

/** Prints what it is given. */
export class SQSClient {
  async send({ input }) {
    console.log(input.QueueUrl);
    for (const { MessageBody } of input.Entries) console.log(Buffer.from(MessageBody).toString("base64"));
    const { FAILED } = process.env;
    return FAILED ? { Failed: [{ Id: input.Entries[0].Id, Code: FAILED }] } : {};
  }
}
