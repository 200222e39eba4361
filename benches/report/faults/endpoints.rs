//! Servers that the daemon asks: a language model's and a vector store's, each a double behind a proxy.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use griot::domain::Component;

use super::{
    super::{args::Args, daemon::Daemon, metrics::percentile},
    DEADLINE_S, Held, Plan, QUESTION,
    cell::{self, Cell, Load},
    double::Double,
    lease,
    proxy::{Fault, Proxy},
    qdrant_double,
    report::Report,
};

/// The doubles and the proxies before them.
pub struct Servers {
    pub model: Double,
    model_proxy: Proxy,
    store_proxy: Proxy,
    store_key: String,
}

/// A daemon that has answered once, and its servers.
pub struct Bench {
    pub daemon: Daemon,
    pub servers: Servers,
}

impl Servers {
    pub async fn start() -> Result<Self, Box<dyn Error>> {
        let model = Double::serve().await;
        let store = qdrant_double::serve().await;
        let store_at = store.url.trim_start_matches("http://").parse()?;
        Ok(Self {
            model_proxy: Proxy::start(model.address).await,
            store_proxy: Proxy::start(store_at).await,
            store_key: store.api_key.unwrap_or_default(),
            model,
        })
    }

    /// The daemon's settings for the language model, with another one to fall back on if wished.
    pub fn of_model(&self, second: bool) -> Vec<(&'static str, String)> {
        let upstream =
            |at| format!("{{ kind = \"ollama\", url = \"http://{at}\", model = \"m\" }}");
        let mut upstreams = vec![upstream(self.model_proxy.address)];
        if second {
            upstreams.push(upstream(self.model.address));
        }
        vec![
            (
                "GRIOT__LLM__UPSTREAMS",
                format!("[{}]", upstreams.join(", ")),
            ),
            ("GRIOT__LLM__FIRST_TOKEN_TIMEOUT_S", DEADLINE_S.to_string()),
            ("GRIOT__LLM__TOKEN_TIMEOUT_S", DEADLINE_S.to_string()),
            ("GRIOT__LOG__LEVEL", "griot=debug".to_owned()),
        ]
    }

    /// The daemon's settings for the store.
    pub fn of_store(&self) -> Vec<(&'static str, String)> {
        let url = format!("http://{}", self.store_proxy.address);
        vec![
            ("GRIOT__STORE__KIND", "qdrant".to_owned()),
            ("GRIOT__STORE__URL", url),
            ("GRIOT__STORE__API_KEY", self.store_key.clone()),
            ("GRIOT__STORE__TIMEOUT_S", DEADLINE_S.to_string()),
        ]
    }

    fn proxy(&self, component: Component) -> &Proxy {
        match component {
            Component::VectorStore => &self.store_proxy,
            _ => &self.model_proxy,
        }
    }
}

impl Bench {
    pub async fn start(args: &Args, log: &str) -> Result<Self, Box<dyn Error>> {
        Self::with(args, log, false).await
    }

    async fn with(args: &Args, log: &str, second: bool) -> Result<Self, Box<dyn Error>> {
        let servers = Servers::start().await?;
        let mut settings = servers.of_model(second);
        settings.extend(servers.of_store());
        let daemon = Daemon::start(args.models.as_deref(), &settings, &args.out.join(log))?;
        let ids = daemon.upload(vec![lease()], "default").await?;
        daemon.wait(&ids).await?;
        // The embedder's weights are read at the first question.
        daemon.ask(QUESTION, "default").await?;
        Ok(Self { daemon, servers })
    }
}

/// Each server × each fault × each load.
pub async fn faults(args: &Args, plan: &Plan, report: &mut Report) -> Result<(), Box<dyn Error>> {
    const LOG: &str = "faults.log";
    let few = [Fault::Refuse, Fault::Hang, Fault::Garbage];
    for component in [Component::LanguageModel, Component::VectorStore] {
        for fault in Fault::ALL {
            if plan.quick && !few.contains(&fault) {
                continue;
            }
            for load in plan.loads() {
                let what = format!("{component}: {fault:?}");
                if !plan.wants(&format!("{what}, {load:?}")) {
                    continue;
                }
                // A breaker that opens again within a minute has to prove itself for longer, so each cell has
                // a daemon of its own.
                let bench = Bench::start(args, LOG).await?;
                let cell = spoil(&bench, component, fault, *load, plan.lasting).await?;
                report.cell(&what, *load, cell);
            }
        }
    }
    let what = "language_model, the first of two: Hang";
    if plan.wants(what) {
        let bench = Bench::with(args, LOG, true).await?;
        let component = Component::LanguageModel;
        let cell = spoil(&bench, component, Fault::Hang, Load::Busy, plan.lasting).await?;
        report.cell(what, Load::Busy, cell);
    }
    Ok(())
}

async fn spoil(
    bench: &Bench,
    component: Component,
    fault: Fault,
    load: Load,
    lasting: Duration,
) -> Result<Cell, Box<dyn Error>> {
    cell::measure(&bench.daemon, component, load, lasting, |on| {
        let fault = if on { fault } else { Fault::Nothing };
        bench.servers.proxy(component).set(fault);
    })
    .await
}

/// Servers that come and go.
pub async fn flaps(args: &Args, plan: &Plan, report: &mut Report) -> Result<(), Box<dyn Error>> {
    for component in [Component::LanguageModel, Component::VectorStore] {
        for load in plan.loads() {
            if plan.wants(&format!("{component}: flaps, {load:?}")) {
                let bench = Bench::start(args, "faults.log").await?;
                let flapped = flap(&bench, component, *load, plan.flapping).await?;
                report.flap(component, *load, flapped);
            }
        }
    }
    Ok(())
}

/// Two seconds gone, two seconds well, for a minute.
async fn flap(
    bench: &Bench,
    component: Component,
    load: Load,
    lasting: Duration,
) -> Result<(Cell, u64), Box<dyn Error>> {
    let proxy = bench.servers.proxy(component);
    let before = cell::transitions(&bench.daemon, component).await?;
    let began = Instant::now();
    let flapping = async {
        let mut well = true;
        loop {
            well = !well;
            proxy.set(if well { Fault::Nothing } else { Fault::Refuse });
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    };
    let asked = tokio::select! {
        asked = cell::ask_for(&bench.daemon, load, lasting) => asked,
        () = flapping => unreachable!("it flaps for ever"),
    };
    let after = cell::transitions(&bench.daemon, component).await?;
    proxy.set(Fault::Nothing);
    cell::settled(&bench.daemon).await?;
    let per_minute = (after - before) as f64 * 60.0 / began.elapsed().as_secs_f64().max(60.0);
    Ok((Cell::of(asked), per_minute.ceil() as u64))
}

/// What came of it when there was nothing to depend on.
pub struct Down {
    pub cell: Cell,
    pub looks: u32,
    pub green: u32,
    pub lasting: Duration,
    /// What the daemon held before, and some seconds after.
    pub held: (Held, Held),
}

/// Both servers gone and no weights for the embedder, for long: it lives, and answers by words.
pub async fn everything_down(args: &Args, plan: &Plan) -> Result<Option<Down>, Box<dyn Error>> {
    if !plan.wants("everything down") {
        return Ok(None);
    }
    let bench = Bench::start(args, "faults-everything.log").await?;
    let (daemon, servers) = (&bench.daemon, &bench.servers);
    let before = Held::by(daemon).await?;
    servers.model_proxy.set(Fault::Refuse);
    servers.store_proxy.set(Fault::Hang);
    let until = Instant::now() + plan.down;
    let lives = async {
        let (mut looks, mut green) = (0, 0);
        while Instant::now() < until {
            looks += 1;
            green += u32::from(daemon.lives().await.is_ok());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        (looks, green)
    };
    let (asked, (looks, green)) = tokio::join!(cell::ask_for(daemon, Load::Idle, plan.down), lives);
    servers.model_proxy.set(Fault::Nothing);
    servers.store_proxy.set(Fault::Nothing);
    cell::settled(daemon).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    Ok(Some(Down {
        cell: Cell::of(asked),
        looks,
        green,
        lasting: plan.down,
        held: (before, Held::by(daemon).await?),
    }))
}

/// As many askers as can be answered at once, then ten times as many, then as before.
pub async fn overload(args: &Args, plan: &Plan, report: &mut Report) -> Result<(), Box<dyn Error>> {
    if !plan.wants("overload") {
        return Ok(());
    }
    let bench = Bench::start(args, "faults.log").await?;
    let daemon = &bench.daemon;
    bench.servers.model.slow(Duration::from_millis(80));
    let lasting = Duration::from_secs(if plan.quick { 5 } else { 20 });
    let peak = cell::ask_at(daemon, 8, lasting).await;
    let over = cell::ask_at(daemon, 80, lasting).await;
    let ended = Instant::now();
    let usual = percentile(&peak.answered_ms(), 0.95).unwrap_or_default();
    let mut normal_after = None;
    while ended.elapsed() < Duration::from_secs(30) {
        let after = cell::ask_at(daemon, 1, Duration::from_millis(500)).await;
        if after.refused == 0 && after.answered_ms().iter().all(|ms| *ms <= usual) {
            normal_after = Some(ended.elapsed());
            break;
        }
    }
    report.overload(&peak, &over, lasting, normal_after);
    Ok(())
}
