//! Whole runs in memory: what they find on kernels whose faults are known, and that neither threads, interruptions nor shards are seen
//! in the certificate.

use super::certificate::Region;
use super::map::MAP_CELLS;
use super::*;
use crate::dtype::Dtype;
use crate::judge::Verdict;
use crate::kernel::{Closure, builtin};
use crate::op::Op;

fn job(kernel: &str, op: Op, dtype: Dtype, domain: Domain) -> Job {
    sharded(kernel, op, dtype, domain, None)
}

fn sharded(kernel: &str, op: Op, dtype: Dtype, domain: Domain, shard: Option<&str>) -> Job {
    let kernel = builtin::all().iter().find(|known| known.name() == kernel).unwrap();
    let claims = kernel.claims(op, dtype);
    let space = Space::new(op, dtype, domain).unwrap();
    Job::new(Arc::new(kernel), claims, space, shard.map(|shard| shard.parse().unwrap())).unwrap()
}

/// The records of these pieces, sorted.
fn records(job: &Job, pieces: &[u64], jobs: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let mut keep = |record: &Record| {
        records.push(record.clone());
        Ok(())
    };
    assert!(job.run(pieces, jobs, &Control::default(), &mut keep).unwrap());
    records.sort_by_key(|record| record.piece);
    assert!(records.iter().all(|record| record.is_sound(&job.space)));
    records
}

fn certificate(job: &Job) -> Certificate {
    job.certificate(&records(job, &job.todo(&[]), 2)).unwrap()
}

/// Of each region of these verdicts what it is.
fn told(certificate: &Certificate, verdicts: &[Verdict]) -> Vec<String> {
    let of = certificate.regions.iter().filter(|region| verdicts.contains(&region.verdict));
    let words =
        |region: &Region| format!("{} {} {} {}", region.layer, region.verdict, region.values.in_words(), region.inputs);
    of.map(words).collect()
}

/// Every interval is in the list, and every failing input in an interval.
fn assert_exact(certificate: &Certificate) {
    assert!(certificate.complete && certificate.unlisted_inputs == 0);
    assert_eq!(certificate.intervals, certificate.regions.len() as u64);
    assert_eq!(certificate.failing(), certificate.regions.iter().map(|region| region.inputs).sum::<u64>());
    assert!(certificate.regions.iter().all(|region| region.failing.is_none()));
}

#[test]
fn log1mexp_holds_with_both_branches_and_fails_where_one_of_them_does() {
    for dtype in [Dtype::F16, Dtype::Bf16] {
        let whole = certificate(&job("branched", Op::LOG1MEXP, dtype, Domain::Elements));
        assert!(whole.holds && whole.regions.is_empty() && whole.judged == whole.inputs);
        assert!(whole.worst_ratio.unwrap().value <= 1.0 && whole.worst_error.unwrap().value < 1.0);
    }
    let structural = [Verdict::Zero, Verdict::Inf, Verdict::Nan, Verdict::Swallowed];

    // f16 is coarse: what is lost in f32 is the last bit of an f16 at most, here and there. No exp(x) rounds to 1, for the least f16 is
    // 2^-24, and none vanishes beside 1 where the result does not round to 0. Near 0 both lose the same digits, since 1 - exp(x) is exact
    // once exp(x) is rounded; far below only one of them does.
    let of_f16 = |kernel: &str| {
        let found = certificate(&job(kernel, Op::LOG1MEXP, Dtype::F16, Domain::Elements));
        assert_exact(&found);
        assert!(!found.holds && told(&found, &structural).is_empty());
        let is_near =
            |region: &&Region| region.values.values(Dtype::F16).is_some_and(|(low, high)| low > -0.01 && high < -3e-5);
        let is_far =
            |region: &&Region| region.values.values(Dtype::F16).is_some_and(|(low, high)| low > -12.0 && high < -3.0);
        let near: Vec<Region> = found.regions.iter().filter(is_near).cloned().collect();
        let far = found.regions.iter().filter(is_far).count();
        assert_eq!(near.len() + far, found.regions.len(), "{:?}", found.regions);
        (near, far)
    };
    let (near, far) = of_f16("defect/log1mexp-naive");
    assert!(near.len() > 20 && far > 20, "{} {far}", near.len());
    assert_eq!(of_f16("defect/log1mexp-one-branch"), (near, 0));

    // In bf16 exp(x) is 1 - 2^-24 down from -2^-25, where it is 1 (a tie, to even): then the result is -inf, and above 0, where NaN is due,
    // too. 1 - exp(x) is 1 below -17.33 = ln 2^-25, and the result 0 until the truth rounds to 0, below -92.5.
    let near_zero = ["[x] inf -2.98e-8 to -9e-41 13056".to_owned(), "[x] swallowed 9e-41 to 5.94e-8 13183".to_owned()];
    let one_branch = certificate(&job("defect/log1mexp-one-branch", Op::LOG1MEXP, Dtype::Bf16, Domain::Elements));
    assert_exact(&one_branch);
    assert_eq!(told(&one_branch, &structural), near_zero);
    let naive = certificate(&job("defect/log1mexp-naive", Op::LOG1MEXP, Dtype::Bf16, Domain::Elements));
    assert_exact(&naive);
    let far = "[x] zero -92.5 to -17.4 303".to_owned();
    assert_eq!(told(&naive, &structural), [vec![far], near_zero.to_vec()].concat());
    let region = naive.regions.iter().find(|region| region.verdict == Verdict::Inf).unwrap();
    assert_eq!((region.values.low.as_str(), region.values.high.as_str()), ("-0x1p-25", "-0x1p-133"));
    // It replays.
    let case = crate::case::Case::parse(&naive.worst_ratio.unwrap().case).unwrap();
    assert_eq!(case.logits(), [-f64::exp2(-25.0)]);
}

#[test]
fn gaps_of_rows() {
    for dtype in [Dtype::F16, Dtype::Bf16] {
        let whole = certificate(&job("shifted", Op::SOFTMAX, dtype, Domain::Gaps));
        assert!(whole.holds && whole.failing() == 0, "{:?}", whole.regions);
    }
    // One logit is 0, so no exp overflows and not all vanish: without a maximum softmax is merely rounded in f16 at every step. From d = 11
    // on it has the digits that the smaller output has room for.
    let naive = certificate(&job("naive", Op::SOFTMAX, Dtype::F16, Domain::Gaps));
    assert_exact(&naive);
    assert!(naive.verdicts.keys().eq(&[Verdict::Pass, Verdict::Inaccurate]));
    for region in &naive.regions {
        let (first, last) = region.values.values(Dtype::F16).unwrap();
        assert!(first > 0.0007 && last < 11.0, "{region:?}");
    }
    // log(p) is -inf from where p = exp(-d) is 0 in f32, whose least number is 2^-149 = exp(-103.28); half of it is exp(-103.97). Each of
    // the two rows has one such output.
    let unfused = certificate(&job("unfused", Op::LOG_SOFTMAX, Dtype::F16, Domain::Gaps));
    assert_exact(&unfused);
    let infinite = ["[0, -d] inf 104 to 65504 9600", "[-d, 0] inf 104 to 65504 9600"];
    assert_eq!(told(&unfused, &[Verdict::Inf]), infinite);
    let others = unfused.regions.iter().filter(|region| region.verdict != Verdict::Inf);
    for region in others {
        let (first, last) = region.values.values(Dtype::F16).unwrap();
        assert!(region.verdict == Verdict::Inaccurate && first > 88.0 && last < 104.0, "{region:?}");
    }
    // With the other class as the target there is nothing to lose.
    let loss = certificate(&job("unfused", Op::CROSS_ENTROPY, Dtype::F16, Domain::Gaps));
    let infinite = ["[-d, 0] target=0 inf 104 to 65504 9600", "[0, -d] target=1 inf 104 to 65504 9600"];
    assert_eq!(told(&loss, &[Verdict::Inf]), infinite);
}

/// The lines of a few first logits: all pairs are hours of work.
#[test]
fn pairs_make_rectangles_and_a_map() {
    let job = job("naive", Op::SOFTMAX, Dtype::Bf16, Domain::Pairs);
    let rank = |x: f64| job.space.ranks().rank(x);
    // Of pairs a piece is a line.
    let near = |x: f64| [rank(x) - 1, rank(x)];
    let pieces = [near(-200.0), near(0.0), near(200.0)].concat();
    let found = job.certificate(&records(&job, &pieces, 2)).unwrap();
    assert!(!found.complete && !found.holds && found.judged == 6 * found.ranks().count());
    let infinite_or_nan = [Verdict::Nan, Verdict::Inf];
    let rectangles: Vec<String> = found
        .regions
        .iter()
        .filter(|region| infinite_or_nan.contains(&region.verdict) && region.inputs > 1000)
        .map(|region| {
            let x = region.x.as_ref().unwrap().in_words();
            format!("{} x = {x}, y = {}: {}", region.verdict, region.values.in_words(), region.inputs)
        })
        .collect();
    // exp(x) is 0 in bf16 below -92.88, and infinite from 88.72 on; the next bf16 is 89.
    let nan = |x: &str, y: &str, inputs: u64| format!("nan x = {x}, y = {y}: {inputs}");
    let (low, high) = (rank(-93.0) + 1, rank(f64::INFINITY) - rank(89.0));
    assert_eq!(
        rectangles,
        [
            // Both vanish, or the second one overflows. Beside an infinite logit NaN is what is due.
            nan("-201 to -200", "-inf to -93", 2 * low),
            nan("-201 to -200", "89 to 3.39e38", 2 * high),
            nan("-0 to 0", "89 to 3.39e38", 2 * high),
            // The first one does.
            nan("199 to 200", "-inf to 3.39e38", 2 * rank(f64::INFINITY)),
        ]
    );
    let [map] = &found.maps[..] else { panic!("{} maps", found.maps.len()) };
    assert_eq!((map.rows.len() as u64, map.rows[0].len() as u64), (MAP_CELLS, MAP_CELLS));
    let row = |x: f64| map.rows[(rank(x) * MAP_CELLS / found.ranks().count()) as usize].as_bytes();
    let column = |y: f64| (rank(y) * MAP_CELLS / found.ranks().count()) as usize;
    let letter = |verdict: Verdict| *map.key.iter().find(|(_, known)| **known == verdict).unwrap().0 as u8;
    assert_eq!(row(-200.0)[column(-1000.0)], letter(Verdict::Nan));
    assert_eq!((row(-200.0)[column(0.0)], row(1.0)[column(0.0)]), (b'.', b'-'));
    // Intervals were joined, but the map is exact.
    assert!(found.regions.iter().any(|region| region.failing.is_some()));
    assert_eq!((row(0.0)[column(0.0)], row(0.0)[column(-1.0)]), (b'.', letter(Verdict::Inaccurate)));
    assert_eq!(Certificate::parse(found.text().unwrap().as_bytes()).unwrap(), found);
    let page = crate::report::exhaust::page(&found);
    assert!(page.contains("<path class=wrong d=\"M") && page.contains("the run is not at its end"));
}

#[test]
fn threads_interruptions_and_shards_are_not_seen() {
    let (op, dtype, domain) = (Op::LOG1MEXP, Dtype::Bf16, Domain::Elements);
    let name = "defect/log1mexp-naive";
    let whole = job(name, op, dtype, domain);
    let due = certificate(&whole).text().unwrap();
    assert_eq!(whole.certificate(&records(&whole, &whole.todo(&[]), 1)).unwrap().text().unwrap(), due);

    // What was written is cut at many places, and the run goes on.
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, done) = Journal::open(folder.path(), whole.head()).unwrap();
    assert!(done.is_empty());
    assert!(whole.run(&whole.todo(&[]), 3, &Control::default(), &mut |record| journal.append(record)).unwrap());
    drop(journal);
    let file = folder.path().join(JOURNAL_FILE);
    let bytes = std::fs::read(&file).unwrap();
    let mut state = 1u64;
    let mut cuts: Vec<usize> = (0..16)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % bytes.len()
        })
        .collect();
    let newline = bytes.iter().position(|&byte| byte == b'\n').unwrap();
    cuts.extend([0, 1, newline, newline + 1, newline + 2, bytes.len() - 1, bytes.len()]);
    for cut in cuts {
        std::fs::write(&file, &bytes[..cut]).unwrap();
        let (mut journal, done) = Journal::open(folder.path(), whole.head()).unwrap();
        let lines = bytes[..cut].iter().filter(|&&byte| byte == b'\n').count();
        assert_eq!(done.len(), lines.saturating_sub(1), "cut at {cut}");
        let todo = whole.todo(&done);
        assert!(whole.run(&todo, 2, &Control::default(), &mut |record| journal.append(record)).unwrap());
        let read = read(folder.path()).unwrap().unwrap();
        assert_eq!(whole.certificate(&read.records).unwrap().text().unwrap(), due, "cut at {cut}");
    }

    // A line that is torn in a way of its own: zeros after a power cut.
    std::fs::write(&file, [&bytes[..newline + 1], &[0, 0, b'\n']].concat()).unwrap();
    assert!(Journal::open(folder.path(), whole.head()).unwrap().1.is_empty());

    // Shards, in any order.
    let share = |shard: &str| {
        let job = sharded(name, op, dtype, domain, Some(shard));
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path(), job.head()).unwrap();
        let own = job.todo(&[]);
        assert!(job.run(&own, 2, &Control::default(), &mut |record| journal.append(record)).unwrap());
        let read = read(folder.path()).unwrap().unwrap();
        let certificate = job.certificate(&read.records).unwrap();
        assert!(certificate.complete && !certificate.holds && certificate.judged < certificate.inputs);
        (shard.to_owned(), read)
    };
    assert_eq!(merge(vec![share("3/3"), share("1/3"), share("2/3")]).unwrap().text().unwrap(), due);
    let other = sharded("branched", op, dtype, domain, Some("2/2"));
    let other = ("other".to_owned(), super::journal::Read::of(other.head().clone(), Vec::new()));
    for (shards, part) in [
        (vec![share("1/3"), share("2/3")], "1/3: shards are missing beside it: 3/3"),
        (vec![share("1/2"), share("1/2")], "1/2: shard 1/2 is there a second time, first in 1/2"),
        (vec![share("1/2"), share("2/3")], "2/3: it is one of 3 shards, 1/2 is one of 2"),
        (vec![share("1/2"), other], "other: it is of another run than 1/2: kernel branched, not defect/log1mexp-naive"),
    ] {
        let error = merge(shards).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().starts_with(part), "{error}");
    }
    let mut short = share("1/2");
    short.1.records.pop();
    let error = merge(vec![short, share("2/2")]).unwrap_err().to_string();
    assert!(error.contains("shard 1/2 is not at its end, 1 of 32 pieces are missing"), "{error}");
}

#[test]
fn journals_of_others_and_damaged_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let own = job("branched", Op::LOG1MEXP, Dtype::F16, Domain::Elements);
    let (mut journal, _) = Journal::open(folder.path(), own.head()).unwrap();
    own.run(&[0, 1, 2], 1, &Control::default(), &mut |record| journal.append(record)).unwrap();
    let file = folder.path().join(JOURNAL_FILE);
    let text = std::fs::read_to_string(&file).unwrap();
    let refused = |job: &Job| Journal::open(folder.path(), job.head()).err().map(|error| error.to_string()).unwrap();
    for (job, part) in [
        (
            job("defect/log1mexp-naive", Op::LOG1MEXP, Dtype::F16, Domain::Elements),
            "(kernel branched, not defect/log1mexp-naive)",
        ),
        (job("branched", Op::LOG1MEXP, Dtype::Bf16, Domain::Elements), "(dtype f16, not bf16)"),
        (sharded("branched", Op::LOG1MEXP, Dtype::F16, Domain::Elements, Some("1/2")), "(shard none, not 1/2)"),
    ] {
        let error = refused(&job);
        assert!(error.contains(part) && error.contains("remove it, or choose another folder with --out"), "{error}");
    }
    assert!(Journal::open(folder.path(), own.head()).is_ok_and(|(_, done)| done.len() == 3));
    let lines: Vec<&str> = text.lines().collect();
    for (damaged, part) in [
        (text.replacen("\"pass\":1024", "\"pass\":1023", 1), "line 2 is damaged"),
        (text.replacen(lines[0], "", 1), "line 1 is damaged"),
        (text.replacen(&lines[1][..16], "0000000000000000", 1), "line 2 is damaged"),
    ] {
        std::fs::write(&file, &damaged).unwrap();
        let error = refused(&own);
        assert!(error.contains(part), "{error}");
        // It stays as it is.
        assert_eq!(std::fs::read_to_string(&file).unwrap(), damaged);
    }
}

#[test]
fn what_is_said_of_a_case_is_traced_to_its_inputs() {
    let space = Space::new(Op::LOG1MEXP, Dtype::F32, Domain::Elements).unwrap();
    let right = |x: f32| {
        let x = f64::from(x);
        (if x > -std::f64::consts::LN_2 { (-x.exp_m1()).ln() } else { (-x.exp()).ln_1p() }) as f32
    };
    let fill = move |z: &[f32], out: &mut [f32]| out.iter_mut().zip(z).for_each(|(out, &x)| *out = right(x));
    let panics = move |z: &[f32], out: &mut [f32]| {
        assert!(!z.contains(&-1.5), "not this one");
        fill(z, out);
    };
    // Wrong only in company: by itself each element passes.
    let alone = move |z: &[f32], out: &mut [f32]| {
        assert!(z.len() == 1 || !z.contains(&-1.5), "not together");
        fill(z, out);
    };
    let ranks = space.ranks();
    let number = (0..space.pieces()).find(|&piece| space.piece(piece).places.contains(&ranks.rank(-1.5))).unwrap();
    let found = |kernel: Closure| {
        let job = Job::new(Arc::new(kernel), Claims::default(), space, None).unwrap();
        let records = records(&job, &[number], 1);
        (job.certificate(&records).unwrap(), records[0].clone())
    };
    let (certificate, record) = found(Closure::new("panics", Op::LOG1MEXP, panics));
    assert_eq!(told(&certificate, &Verdict::ALL), ["[x] panic -1.5 1"]);
    assert_eq!(record.outputs, space.piece(number).len() - 1);
    let (certificate, record) = found(Closure::new("alone", Op::LOG1MEXP, alone));
    assert_eq!((certificate.failing(), record.found), (1024, 1));
    let (certificate, _) = found(Closure::new("few", Op::LOG1MEXP, panics).for_lengths(1..=7));
    assert_eq!(told(&certificate, &Verdict::ALL), ["[x] panic -1.5 1"]);
    let error =
        Job::new(Arc::new(Closure::new("two", Op::LOG1MEXP, fill).for_lengths(2..=9)), Claims::default(), space, None);
    let error = error.err().unwrap().to_string();
    assert_eq!(error, "the kernel two takes rows of 2 to 9 logits, and the domain elements has rows of 1");
}

#[test]
fn certificates_are_read_again() {
    let naive = certificate(&job("naive", Op::LOG_SOFTMAX, Dtype::F16, Domain::Gaps));
    let text = naive.text().unwrap();
    assert_eq!(Certificate::parse(text.as_bytes()).unwrap(), naive);
    for (from, to, part) in [
        ("\"judged\": 63490", "\"judged\": 63491", "contradict each other"),
        ("certificate/1", "certificate/2", "update logitfuzz"),
        ("\"gaps\"", "\"elements\"", "choose pairs or gaps"),
        ("\"op\"", "\"pp\"", "line "),
    ] {
        let error = Certificate::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}
