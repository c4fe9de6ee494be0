//! Leaks: images that an experiment both trains on and scores on. They are computed once for each state of the data,
//! and cached.

use super::data_set::DataSet;
use super::flows::{Flow, Flows, How, Side, words};
use crate::cache::{Digest, Store};
use crate::data::leaks::{self, Leak, Pair, PairImage, Region, Sample};
use crate::data::{DataError, Entry};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Maximum number of leaks with pictures.
const PICTURED: usize = 24;
/// Longer side of a picture in pixels.
const SIDE: u32 = 160;

/// The leaks of an experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    /// Number of compared images. An image in several data sets counts once.
    pub images: usize,
    /// Number of these that are scored on and also trained on, as a whole or in part.
    pub scored: usize,
    /// Pairs of images, sorted by the name of the scored image.
    pub leaks: Vec<Finding>,
}

/// A leak.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The two images.
    pub pair: Pair,
    /// The flows between the two. There may be several, because several data sets may read the same folder.
    pub flows: BTreeSet<Flow>,
}

/// The cached form. Images are indices into the distinct images of all data sets.
#[derive(Serialize, Deserialize)]
struct Cached {
    leaks: Vec<(usize, usize, Leak)>,
    /// Pictures of the first leaks: (scored, trained).
    pictures: Vec<[String; 2]>,
}

/// The images of some data sets, and the distinct ones among them.
struct Images<'a> {
    /// All images: (index of the data set, entry).
    all: Vec<(usize, &'a Entry)>,
    /// The index of each in `samples`.
    which: Vec<usize>,
    /// The distinct images.
    samples: Vec<Sample<'a>>,
}

impl<'a> Images<'a> {
    fn of(sets: &[&'a DataSet]) -> Images<'a> {
        let mut images = Images { all: Vec::new(), which: Vec::new(), samples: Vec::new() };
        let mut known: HashMap<(&str, (usize, usize)), usize> = HashMap::new();
        for (index, set) in sets.iter().enumerate() {
            for entry in &set.open.manifest.images {
                let which = *known.entry((entry.image_digest.as_str(), entry.cropped())).or_insert_with(|| {
                    images.samples.push(Sample { dataset: &set.open, entry });
                    images.samples.len() - 1
                });
                images.all.push((index, entry));
                images.which.push(which);
            }
        }
        images
    }
}

impl Findings {
    /// Compares all images of `sets` between which there are `flows`. Uses the cached result if there is one. Otherwise
    /// compares the images if there is a `progress`, which receives the number of compared images and of all images,
    /// and returns whether to continue.
    ///
    /// `None` if they were not compared.
    ///
    /// # Errors
    /// [`DataError`] if an image cannot be read.
    pub fn of(
        sets: &[&DataSet],
        flows: &Flows,
        store: &Store,
        progress: Option<&(dyn Fn(usize, usize) -> bool + Sync)>,
    ) -> Result<Option<Findings>, DataError> {
        let key = key(sets, flows);
        let images = Images::of(sets);
        let cached =
            key.and_then(|key| store.read_finding::<Cached>(key)).filter(|cached| cached.fits(images.samples.len()));
        let cached = match (cached, progress) {
            (Some(cached), _) => cached,
            (None, None) => return Ok(None),
            (None, Some(progress)) => {
                let Some(found) = compare(sets, flows, &images, progress)? else { return Ok(None) };
                if let Some(key) = key {
                    store.write_finding(key, &found);
                }
                found
            }
        };
        Ok(Some(Findings::spread(sets, flows, &images, cached)))
    }

    /// Expands pairs of distinct images to pairs of images in data sets.
    fn spread(sets: &[&DataSet], flows: &Flows, images: &Images<'_>, cached: Cached) -> Findings {
        let side = |image: usize| -> Side { (sets[images.all[image].0].instance, images.all[image].1.split) };
        let mut copies: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (image, &which) in images.which.iter().enumerate() {
            copies.entry(which).or_default().push(image);
        }
        let (mut found, mut leaked): (BTreeMap<_, Copies>, _) = (BTreeMap::new(), BTreeSet::new());
        for (number, (scored, trained, _)) in cached.leaks.iter().enumerate() {
            for &a in &copies[scored] {
                for &b in &copies[trained] {
                    let flow = (side(b), side(a));
                    if a == b || flows.how(flow).is_none() {
                        continue;
                    }
                    let name = |image: usize| (images.all[image].1.image.as_str(), images.all[image].1.split);
                    found.entry((name(a), name(b), number)).or_default().push((a, b, flow));
                    leaked.insert(scored);
                }
            }
        }
        let pair_image = |copies: &[usize], region: &dyn Fn((usize, usize)) -> Region, picture: Option<&String>| {
            let entry = images.all[copies[0]].1;
            let mut names: Vec<&String> = Vec::new();
            for name in copies.iter().map(|&image| &sets[images.all[image].0].name) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            PairImage {
                dataset: names[0].clone(),
                also_in: names[1..].iter().map(|name| (*name).clone()).collect(),
                split: entry.split,
                image: entry.image.clone(),
                size: entry.cropped(),
                region: region(entry.cropped()),
                picture: picture.filter(|picture| !picture.is_empty()).cloned(),
            }
        };
        let finding = |((_, _, number), pairs): ((_, _, usize), Copies)| {
            let leak = &cached.leaks[number].2;
            let pictures = cached.pictures.get(number);
            let (scored, trained): (Vec<usize>, Vec<usize>) = pairs.iter().map(|&(a, b, _)| (a, b)).unzip();
            let pair_flows: BTreeSet<Flow> = pairs.iter().map(|&(_, _, flow)| flow).collect();
            let how: BTreeSet<How> = pair_flows.iter().filter_map(|&flow| flows.how(flow)).flatten().copied().collect();
            let pair = Pair {
                scored: pair_image(&scored, &|_| leak.in_scored(), pictures.map(|pictures| &pictures[0])),
                trained: pair_image(&trained, &|size| leak.in_trained(size), pictures.map(|pictures| &pictures[1])),
                how: words(&how),
                leak: leak.clone(),
            };
            Finding { pair, flows: pair_flows }
        };
        let sides: BTreeSet<Side> = flows.iter().flat_map(|((trained, scored), _)| [trained, scored]).collect();
        let compared = (0..images.all.len()).filter(|&image| sides.contains(&side(image)));
        let compared: BTreeSet<usize> = compared.map(|image| images.which[image]).collect();
        let scored = leaked.len();
        Findings { images: compared.len(), scored, leaks: found.into_iter().map(finding).collect() }
    }
}

/// The copies of one pair of files in all data sets: (scored image, trained image, flow).
type Copies = Vec<(usize, usize, Flow)>;

impl Cached {
    /// Whether all its indices are less than `images`.
    fn fits(&self, images: usize) -> bool {
        self.leaks.iter().all(|(scored, trained, _)| *scored < images && *trained < images)
    }
}

/// The key of everything that the leaks depend on: code, manifests (which have the hash of every file) and flows. Names
/// and paths of data sets do not matter.
fn key(sets: &[&DataSet], flows: &Flows) -> Option<Digest> {
    let manifest = |set: &&DataSet| serde_json::to_vec(&set.open.manifest).map(|bytes| Digest::of(&bytes));
    let manifests = sets.iter().map(manifest).collect::<Result<Vec<_>, _>>().ok()?;
    let index = |(instance, split): Side| Some((sets.iter().position(|set| set.instance == instance)?, split));
    let flows: Vec<_> =
        flows.iter().filter_map(|((trained, scored), _)| Some((index(trained)?, index(scored)?))).collect();
    let all = serde_json::to_vec(&("leaks", leaks::CODE_VERSION, (PICTURED, SIDE), manifests, flows)).ok()?;
    Some(Digest::of(&all))
}

fn compare(
    sets: &[&DataSet],
    flows: &Flows,
    images: &Images<'_>,
    progress: &(dyn Fn(usize, usize) -> bool + Sync),
) -> Result<Option<Cached>, DataError> {
    // The sides that each distinct image is on.
    let sides: Vec<Side> = flows
        .iter()
        .flat_map(|((trained, scored), _)| [trained, scored])
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let known: BTreeMap<Side, usize> = sides.iter().copied().zip(0..).collect();
    let mut on: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); images.samples.len()];
    for (&which, &(set, entry)) in images.which.iter().zip(&images.all) {
        if let Some(&side) = known.get(&(sets[set].instance, entry.split)) {
            on[which].insert(side);
        }
    }
    let joined: BTreeSet<(usize, usize)> =
        flows.iter().map(|((trained, scored), _)| (known[&scored], known[&trained])).collect();
    // For speed with millions of pairs: images on the same sides are one kind.
    let mut kinds: Vec<&BTreeSet<usize>> = Vec::new();
    let mut kind_of = Vec::with_capacity(on.len());
    for sides in &on {
        kind_of.push(kinds.iter().position(|known| *known == sides).unwrap_or_else(|| {
            kinds.push(sides);
            kinds.len() - 1
        }));
    }
    let meet = |scored: &BTreeSet<usize>, trained: &BTreeSet<usize>| {
        scored.iter().any(|&a| trained.iter().any(|&b| joined.contains(&(a, b))))
    };
    let meets: Vec<Vec<bool>> =
        kinds.iter().map(|scored| kinds.iter().map(|trained| meet(scored, trained)).collect()).collect();
    let pairs = |scored: usize, trained: usize| meets[kind_of[scored]][kind_of[trained]];
    let Some(found) = leaks::find(&images.samples, &pairs, progress)? else { return Ok(None) };
    // Images that are themselves on both sides: in two data sets, or twice in one.
    let same = (0..images.samples.len())
        .filter(|&which| pairs(which, which))
        .map(|which| Leak::same(which, which, images.samples[which].entry.cropped()));
    let plain = |leak: Leak| (leak.scored, leak.trained, Leak { scored: 0, trained: 0, ..leak });
    let mut leaks: Vec<(usize, usize, Leak)> = found.into_iter().chain(same).map(plain).collect();
    leaks.sort_by_key(|(scored, trained, _)| (*scored, *trained));
    let mut pictures = Vec::new();
    for &(scored, trained, _) in leaks.iter().take(PICTURED) {
        pictures.push([picture(&images.samples[scored])?, picture(&images.samples[trained])?]);
    }
    Ok(Some(Cached { leaks, pictures }))
}

/// A thumbnail as a base64 JPEG; empty if there is none.
fn picture(sample: &Sample<'_>) -> Result<String, DataError> {
    let small = leaks::thumbnail(&sample.read()?, SIDE);
    Ok(small.map(|jpeg| STANDARD.encode(jpeg)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::leaks::Kind;
    use crate::data::synthesize::{SynthesizeParams, synthesize_one};
    use crate::data::{Manifest, Micrograph, Root, Split};
    use crate::report::png_grey;
    use std::path::Path;

    const SIZE: usize = 200;

    fn drawn(index: usize) -> Micrograph {
        let params = SynthesizeParams { size: SIZE, ..SynthesizeParams::default() };
        synthesize_one(&params, Split::Test, index).0
    }

    /// Two data sets, at full size and resized, each with: t (scored), a part of it (trained on), a copy of it
    /// (unlabelled), and another image.
    fn sets(folder: &Path) -> [DataSet; 2] {
        let t = drawn(0);
        let part = t.clone().crop_top_left(150, 160);
        let images = [("t", Split::Test, &t), ("a", Split::Train, &part), ("u", Split::Unlabeled, &t)];
        let other = drawn(1);
        let entries = images.into_iter().chain([("b", Split::Train, &other)]).map(|(name, split, image)| {
            let bytes = png_grey(&image.pixels, image.width, image.height).unwrap();
            std::fs::write(folder.join(name), &bytes).unwrap();
            Entry {
                image: name.into(),
                image_digest: Digest::of(&bytes).to_string(),
                mask: None,
                mask_digest: None,
                width: image.width,
                height: image.height,
                resized_from: None,
                resampled_by: None,
                file_size: None,
                window_of: None,
                offset: None,
                pixel_size: None,
                pixel_size_from: None,
                channels: 1,
                orientation: None,
                split,
                specimen: None,
                class_pixels: Vec::new(),
            }
        });
        let images: Vec<Entry> = entries.collect();
        let small = |entry: &Entry| Entry {
            resized_from: Some((entry.width, entry.height)),
            width: 64,
            height: 64,
            ..entry.clone()
        };
        let set = |instance: usize, name: &str, images: Vec<Entry>| {
            let manifest = Manifest {
                annotations: None,
                format: "folder".into(),
                classes: Vec::new(),
                ignore_classes: Vec::new(),
                label_values: BTreeMap::new(),
                label_colors: BTreeMap::new(),
                other_color: None,
                is_part: false,
                options: Default::default(),
                images,
            };
            DataSet::new(instance, name, manifest, Root::Folder(folder.into()))
        };
        [set(3, "steel", images.clone()), set(5, "steel-64", images.iter().map(small).collect())]
    }

    fn flows() -> Flows {
        let mut flows = Flows::default();
        flows.add(None, (3, Split::Train), (3, Split::Test), "training");
        flows.add(None, (5, Split::Train), (5, Split::Test), "training");
        flows.add(Some(9), (3, Split::Unlabeled), (5, Split::Test), "pretraining");
        flows
    }

    #[test]
    fn files_on_both_sides_are_one_pair_for_all_data_sets() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cache")).unwrap();
        let sets = sets(dir.path());
        let sets: Vec<&DataSet> = sets.iter().collect();
        type Progress<'a> = Option<&'a (dyn Fn(usize, usize) -> bool + Sync)>;
        let find = |progress: Progress<'_>| Findings::of(&sets, &flows(), &store, progress).unwrap();
        assert_eq!(find(None), None, "nothing is cached yet");
        assert_eq!(find(Some(&|_, _| false)), None, "stopped");
        assert_eq!(find(None), None, "a stopped comparison is not cached");
        let found = find(Some(&|_, _| true)).unwrap();
        assert_eq!((found.images, found.scored), (3, 1), "a copy is the same image");
        let seen: Vec<_> = found
            .leaks
            .iter()
            .map(|finding| {
                let Pair { scored, trained, how, leak } = &finding.pair;
                (scored.words(), trained.words(), how.as_str(), leak.kind, leak.overlap, finding.flows.len())
            })
            .collect();
        let both = |image: &str| format!("steel, steel-64 {image}");
        assert_eq!(
            seen,
            [
                (both("test t"), both("train a"), "training", Kind::Crop, (150, 160), 2),
                ("steel-64 test t".into(), "steel unlabeled u".into(), "pretraining", Kind::Same, (SIZE, SIZE), 1),
            ]
        );
        assert!(found.leaks.iter().all(|finding| finding.pair.scored.picture.is_some()));
        // From the cache, with and without a progress; the cache has nothing for other flows.
        assert_eq!(find(None).as_ref(), Some(&found));
        assert_eq!(find(Some(&|_, _| panic!("compared again"))), Some(found));
        assert_eq!(Findings::of(&sets[..1], &flows(), &store, None).unwrap(), None);
        let none = Cached { leaks: Vec::new(), pictures: Vec::new() };
        store.write_finding(key(&sets, &flows()).unwrap(), &none);
        assert_eq!(find(None).unwrap().leaks, [], "the cached result is used");
        let foreign = Cached { leaks: vec![(0, 99, Leak::same(0, 0, (1, 1)))], pictures: Vec::new() };
        store.write_finding(key(&sets, &flows()).unwrap(), &foreign);
        assert_eq!(find(None), None, "indices out of range");
    }

    #[test]
    fn a_missing_image_is_an_error_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cache")).unwrap();
        let sets = sets(dir.path());
        std::fs::remove_file(dir.path().join("b")).unwrap();
        let error = Findings::of(&[&sets[0]], &flows(), &store, Some(&|_, _| true)).unwrap_err();
        assert!(error.to_string().contains("b: not there"), "{error}");
    }
}
