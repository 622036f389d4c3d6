/** How a method's messages become bytes, for both ends of a call. */
import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";

export interface Codec {
  /** `package.Service/Method`, for messages. */
  readonly name: string;
  readonly path: string;
  readonly input: MessageCodec;
  readonly output: MessageCodec;
}

export interface MessageCodec {
  readonly encode: (init: object) => Buffer;
  readonly decode: (bytes: Buffer) => object;
}

export function codecOf(method: DescMethod): Codec {
  const name = `${method.parent.typeName}/${method.name}`;
  return { name, path: `/${name}`, input: messageCodec(method.input), output: messageCodec(method.output) };
}

function messageCodec(desc: DescMessage): MessageCodec {
  return {
    encode(init) {
      // The typed call signatures have checked the shape already.
      const bytes = toBinary(desc, create(desc, init as MessageInitShape<typeof desc>));
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
    decode: (bytes) => fromBinary(desc, bytes),
  };
}
