//! The graph of all-MiniLM-L6-v2: BERT as published (Devlin et al., 2018), with the sizes of this model.

use super::{
    ConvertError,
    proto::{Attribute, Content, Dim, FLOAT, INT64, Initializer, Message, Model, node, value_info},
    safetensors::Weights,
};

const LAYERS: usize = 6;
const HIDDEN: usize = 384;
const HEADS: usize = 12;
const INNER: usize = 1536;
const VOCABULARY: usize = 30522;
const POSITIONS: usize = 512;
/// `layer_norm_eps` of the model's configuration.
const EPSILON: f32 = 1e-12;

/// The model around `weights`.
pub(super) fn build<'a>(weights: &Weights<'a>) -> Result<Model<'a>, ConvertError> {
    let mut graph = Graph {
        weights,
        nodes: Vec::new(),
        initializers: Vec::new(),
    };
    let mut hidden = graph.embeddings()?;
    let mask = graph.mask();
    graph.shared_constants();
    for layer in 0..LAYERS {
        hidden = graph.layer(layer, hidden, &mask)?;
    }
    graph.add("Identity", &[&hidden], "last_hidden_state", &[]);

    let tokens = || [Dim::Named("batch"), Dim::Named("tokens")];
    let mut fields = Message::new();
    for node in &graph.nodes {
        fields = fields.message(1, node);
    }
    fields = fields.text(2, "all-MiniLM-L6-v2");
    for input in ["input_ids", "attention_mask", "token_type_ids"] {
        fields = fields.message(11, &value_info(input, INT64, &tokens()));
    }
    let [batch, count] = tokens();
    let output = [batch, count, Dim::Fixed(HIDDEN)];
    fields = fields.message(12, &value_info("last_hidden_state", FLOAT, &output));
    Ok(Model {
        graph: fields,
        initializers: graph.initializers,
    })
}

/// The graph being built. Each function adds nodes and gives the name of the result.
struct Graph<'w, 'a> {
    weights: &'w Weights<'a>,
    nodes: Vec<Message>,
    initializers: Vec<Initializer<'a>>,
}

impl Graph<'_, '_> {
    fn add(&mut self, op: &str, inputs: &[&str], output: &str, attributes: &[Attribute]) -> String {
        self.nodes.push(node(op, inputs, output, attributes));
        output.to_owned()
    }

    /// A tensor of the file, under its own name.
    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<(), ConvertError> {
        let content = Content::Bytes(self.weights.get(name, shape)?);
        self.initializers
            .push(Initializer::new(name, FLOAT, shape, content));
        Ok(())
    }

    fn ints(&mut self, name: &str, values: &[i64]) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializers.push(Initializer::new(
            name,
            INT64,
            &[values.len()],
            Content::Owned(bytes),
        ));
    }

    fn scalar(&mut self, name: &str, value: f32) {
        let bytes = value.to_le_bytes().to_vec();
        self.initializers
            .push(Initializer::new(name, FLOAT, &[], Content::Owned(bytes)));
    }

    /// The sum of word, position and type embeddings, normalised: `[batch, tokens, HIDDEN]`.
    fn embeddings(&mut self) -> Result<String, ConvertError> {
        let at = |name| format!("embeddings.{name}_embeddings.weight");
        self.tensor(&at("word"), &[VOCABULARY, HIDDEN])?;
        self.tensor(&at("position"), &[POSITIONS, HIDDEN])?;
        self.tensor(&at("token_type"), &[2, HIDDEN])?;
        let words = self.add("Gather", &[&at("word"), "input_ids"], "words", &[]);
        let types = self.add(
            "Gather",
            &[&at("token_type"), "token_type_ids"],
            "types",
            &[],
        );
        // Positions 0 up to the number of tokens.
        self.ints("zero", &[0]);
        self.ints("one", &[1]);
        let shape = self.add("Shape", &["input_ids"], "shape", &[]);
        let count = self.add("Gather", &[&shape, "one"], "count", &[]);
        let positions = self.add(
            "Slice",
            &[&at("position"), "zero", &count, "zero"],
            "positions",
            &[],
        );
        let sum = self.add("Add", &[&words, &types], "words_types", &[]);
        let sum = self.add("Add", &[&sum, &positions], "words_types_positions", &[]);
        self.normalize("embeddings.LayerNorm", &sum)
    }

    /// What is added to the attention scores: 0 for a token, -10000 for padding; `[batch, 1, 1, tokens]`.
    fn mask(&mut self) -> String {
        self.ints("axes_1_2", &[1, 2]);
        self.scalar("one_f", 1.0);
        self.scalar("minus_many", -10_000.0);
        let mask = self.add(
            "Cast",
            &["attention_mask"],
            "mask_f",
            &[Attribute::Int("to", FLOAT)],
        );
        let mask = self.add("Unsqueeze", &[&mask, "axes_1_2"], "mask_4", &[]);
        let padding = self.add("Sub", &["one_f", &mask], "padding", &[]);
        self.add("Mul", &[&padding, "minus_many"], "mask_bias", &[])
    }

    fn shared_constants(&mut self) {
        let head = HIDDEN / HEADS;
        self.ints("split_heads", &[0, 0, HEADS as i64, head as i64]);
        self.ints("join_heads", &[0, 0, HIDDEN as i64]);
        self.scalar("scale", 1.0 / (head as f32).sqrt());
        self.scalar("half", 0.5);
        self.scalar("sqrt_2", std::f32::consts::SQRT_2);
    }

    fn layer(&mut self, layer: usize, hidden: String, mask: &str) -> Result<String, ConvertError> {
        let at = |name: &str| format!("encoder.layer.{layer}.{name}");
        let context = self.attention(&at("attention.self"), &hidden, mask)?;
        let attended = self.linear(&at("attention.output.dense"), &context, [HIDDEN, HIDDEN])?;
        let sum = self.add("Add", &[&attended, &hidden], &at("attended"), &[]);
        let hidden = self.normalize(&at("attention.output.LayerNorm"), &sum)?;

        let inner = self.linear(&at("intermediate.dense"), &hidden, [INNER, HIDDEN])?;
        let inner = self.gelu(&at("intermediate"), &inner);
        let outer = self.linear(&at("output.dense"), &inner, [HIDDEN, INNER])?;
        let sum = self.add("Add", &[&outer, &hidden], &at("passed"), &[]);
        self.normalize(&at("output.LayerNorm"), &sum)
    }

    /// `softmax(q·kᵀ / √d + mask)·v`, all heads side by side: `[batch, tokens, HIDDEN]`.
    fn attention(&mut self, at: &str, hidden: &str, mask: &str) -> Result<String, ConvertError> {
        let name = |part: &str| format!("{at}.{part}");
        let mut heads = |part: &str, order: [i64; 4]| {
            let all = self.linear(&name(part), hidden, [HIDDEN, HIDDEN])?;
            let split = name(&format!("{part}.split"));
            let split = self.add("Reshape", &[&all, "split_heads"], &split, &[]);
            Ok::<_, ConvertError>(self.add(
                "Transpose",
                &[&split],
                &name(&format!("{part}.heads")),
                &[Attribute::Ints("perm", &order)],
            ))
        };
        let query = heads("query", [0, 2, 1, 3])?;
        let key = heads("key", [0, 2, 3, 1])?;
        let value = heads("value", [0, 2, 1, 3])?;
        let scores = self.add("MatMul", &[&query, &key], &name("scores"), &[]);
        let scores = self.add("Mul", &[&scores, "scale"], &name("scaled"), &[]);
        let scores = self.add("Add", &[&scores, mask], &name("masked"), &[]);
        let last = [Attribute::Int("axis", -1)];
        let shares = self.add("Softmax", &[&scores], &name("shares"), &last);
        let context = self.add("MatMul", &[&shares, &value], &name("context"), &[]);
        let order = [Attribute::Ints("perm", &[0, 2, 1, 3])];
        let context = self.add("Transpose", &[&context], &name("context.tokens"), &order);
        Ok(self.add(
            "Reshape",
            &[&context, "join_heads"],
            &name("context.joined"),
            &[],
        ))
    }

    /// `x·Wᵀ + b`; the file holds `W` as `[to, from]`, the product wants `[from, to]`.
    fn linear(
        &mut self,
        at: &str,
        input: &str,
        [to, from]: [usize; 2],
    ) -> Result<String, ConvertError> {
        let (weight, bias) = (format!("{at}.weight"), format!("{at}.bias"));
        let content = Content::Transposed {
            source: self.weights.get(&weight, &[to, from])?,
            rows: to,
        };
        self.initializers
            .push(Initializer::new(&weight, FLOAT, &[from, to], content));
        self.tensor(&bias, &[to])?;
        let product = self.add("MatMul", &[input, &weight], &format!("{at}.product"), &[]);
        Ok(self.add("Add", &[&product, &bias], &format!("{at}.sum"), &[]))
    }

    fn normalize(&mut self, at: &str, input: &str) -> Result<String, ConvertError> {
        let (weight, bias) = (format!("{at}.weight"), format!("{at}.bias"));
        self.tensor(&weight, &[HIDDEN])?;
        self.tensor(&bias, &[HIDDEN])?;
        Ok(self.add(
            "LayerNormalization",
            &[input, &weight, &bias],
            &format!("{at}.out"),
            &[
                Attribute::Int("axis", -1),
                Attribute::Float("epsilon", EPSILON),
            ],
        ))
    }

    /// `x·½·(1 + erf(x/√2))`, in the shape that runtimes recognise and fuse.
    fn gelu(&mut self, at: &str, input: &str) -> String {
        let name = |part: &str| format!("{at}.{part}");
        let scaled = self.add("Div", &[input, "sqrt_2"], &name("scaled"), &[]);
        let erf = self.add("Erf", &[&scaled], &name("erf"), &[]);
        let one = self.add("Add", &[&erf, "one_f"], &name("erf_one"), &[]);
        let product = self.add("Mul", &[input, &one], &name("product"), &[]);
        self.add("Mul", &[&product, "half"], &name("gelu"), &[])
    }
}
