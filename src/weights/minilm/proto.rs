//! As much of ONNX's protobuf messages as one graph needs, written by hand.
//!
//! Field numbers are those of `onnx.proto` (IR version 8). Only what is written here is supported:
//! nothing is read.

use std::io::{self, Write};

/// A message (or a part of one) being written.
#[derive(Default, Clone)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn new() -> Self {
        Self::default()
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, wire_type: u64) {
        self.varint(field << 3 | wire_type);
    }

    pub(super) fn int(mut self, field: u64, value: i64) -> Self {
        self.key(field, 0);
        self.varint(value.cast_unsigned());
        self
    }

    pub(super) fn float(mut self, field: u64, value: f32) -> Self {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// The key and length of a field whose `length` bytes are written by other means.
    pub(super) fn announce(mut self, field: u64, length: u64) -> Self {
        self.key(field, 2);
        self.varint(length);
        self
    }

    pub(super) fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self = self.announce(field, bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    pub(super) fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    pub(super) fn message(self, field: u64, message: &Message) -> Self {
        self.bytes(field, &message.0)
    }

    fn len(&self) -> u64 {
        self.0.len() as u64
    }
}

/// Element types of `TensorProto.DataType`.
pub(super) const FLOAT: i64 = 1;
pub(super) const INT64: i64 = 7;

/// What an initialiser's bytes are.
pub(super) enum Content<'a> {
    /// As they stand.
    Bytes(&'a [u8]),
    /// 32-bit floats of `[rows, columns]` in the source, written as `[columns, rows]`.
    Transposed {
        source: &'a [u8],
        rows: usize,
    },
    Owned(Vec<u8>),
}

impl Content<'_> {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Transposed { source, .. } => source.len() as u64,
            Self::Owned(bytes) => bytes.len() as u64,
        }
    }

    fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => to.write_all(bytes),
            Self::Owned(bytes) => to.write_all(bytes),
            Self::Transposed { source, rows } => {
                let (values, _) = source.as_chunks::<4>();
                let columns = values.len() / rows;
                let mut line = Vec::with_capacity(rows * 4);
                for column in 0..columns {
                    line.clear();
                    for row in 0..*rows {
                        line.extend_from_slice(&values[row * columns + column]);
                    }
                    to.write_all(&line)?;
                }
                Ok(())
            }
        }
    }
}

/// A `TensorProto` but for its content, which follows.
pub(super) struct Initializer<'a> {
    head: Message,
    content: Content<'a>,
}

impl<'a> Initializer<'a> {
    pub(super) fn new(name: &str, kind: i64, dims: &[usize], content: Content<'a>) -> Self {
        let mut head = Message::new();
        for dim in dims {
            head = head.int(1, *dim as i64);
        }
        head = head.int(2, kind).text(8, name).announce(9, content.len());
        Self { head, content }
    }

    fn len(&self) -> u64 {
        self.head.len() + self.content.len()
    }
}

/// A model: everything small is in memory, the weights are borrowed.
pub(super) struct Model<'a> {
    /// The graph's fields but for the initialisers.
    pub(super) graph: Message,
    pub(super) initializers: Vec<Initializer<'a>>,
}

impl Model<'_> {
    /// Operator set 17: `LayerNormalization` is an operator from there on.
    const OPSET: i64 = 17;

    pub(super) fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let announced: Vec<Message> = self
            .initializers
            .iter()
            .map(|tensor| Message::new().announce(5, tensor.len()))
            .collect();
        let graph_len = self.graph.len()
            + announced.iter().map(Message::len).sum::<u64>()
            + self.initializers.iter().map(Initializer::len).sum::<u64>();

        let opset = Message::new().text(1, "").int(2, Self::OPSET);
        let head = Message::new()
            .int(1, 8)
            .text(2, "griot")
            .message(8, &opset)
            .announce(7, graph_len);
        to.write_all(&head.0)?;
        to.write_all(&self.graph.0)?;
        for (announcement, tensor) in announced.iter().zip(&self.initializers) {
            to.write_all(&announcement.0)?;
            to.write_all(&tensor.head.0)?;
            tensor.content.write(to)?;
        }
        to.flush()
    }
}

/// An attribute of a node.
pub(super) enum Attribute<'a> {
    Int(&'a str, i64),
    Float(&'a str, f32),
    Ints(&'a str, &'a [i64]),
}

impl Attribute<'_> {
    fn encode(&self) -> Message {
        match self {
            Self::Float(name, value) => Message::new().text(1, name).float(2, *value).int(20, 1),
            Self::Int(name, value) => Message::new().text(1, name).int(3, *value).int(20, 2),
            Self::Ints(name, values) => values
                .iter()
                .fold(Message::new().text(1, name), |message, value| {
                    message.int(8, *value)
                })
                .int(20, 7),
        }
    }
}

/// A `NodeProto` with one output, which also names the node.
pub(super) fn node(op: &str, inputs: &[&str], output: &str, attributes: &[Attribute]) -> Message {
    let mut message = Message::new();
    for input in inputs {
        message = message.text(1, input);
    }
    message = message.text(2, output).text(3, output).text(4, op);
    for attribute in attributes {
        message = message.message(5, &attribute.encode());
    }
    message
}

/// A dimension of an input or output.
pub(super) enum Dim {
    Named(&'static str),
    Fixed(usize),
}

/// A `ValueInfoProto`.
pub(super) fn value_info(name: &str, kind: i64, dims: &[Dim]) -> Message {
    let shape = dims.iter().fold(Message::new(), |shape, dim| {
        let dim = match dim {
            Dim::Fixed(size) => Message::new().int(1, *size as i64),
            Dim::Named(name) => Message::new().text(2, name),
        };
        shape.message(1, &dim)
    });
    let tensor = Message::new().int(1, kind).message(2, &shape);
    let kind = Message::new().message(1, &tensor);
    Message::new().text(1, name).message(2, &kind)
}
