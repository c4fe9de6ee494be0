//! A device whose two streams do what they are asked as late, as early and in as mixed an order as they may.

use super::*;
use crate::ops::gpu::{find, pretend};
use candle_core::Device;
use matssl_base::random::Stream;
use std::collections::HashMap;

/// What a stream is asked to do. A mark is meant as often as it had been set when that was asked.
enum Request {
    Copy(usize),
    Set(usize, Mark, u64),
    Hold(usize, Mark, u64),
    /// A kernel that must find this batch.
    Read(usize, u64),
}

/// Something that may be left undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Hold(Mark),
    Wait(Mark),
}

/// Of a buffer whose host's side is being written.
const UNFINISHED: u64 = u64::MAX;

struct World {
    /// Copies, and kernels.
    streams: [VecDeque<Request>; 2],
    /// By buffer: the number of the batch that lies on this side.
    host: Vec<u64>,
    device: Vec<u64>,
    set: HashMap<(usize, u8), u64>,
    passed: HashMap<(usize, u8), u64>,
    /// A kernel found another batch than it should.
    wrong: bool,
    deaf: Option<Ask>,
    draws: Stream,
}

fn stream(of: Mark) -> usize {
    usize::from(of == Mark::Read)
}

fn key(buffer: usize, mark: Mark) -> (usize, u8) {
    (buffer, mark as u8)
}

impl World {
    fn is_passed(&self, buffer: usize, mark: Mark, times: u64) -> bool {
        self.passed.get(&key(buffer, mark)).copied().unwrap_or(0) >= times
    }

    fn times(&self, buffer: usize, mark: Mark) -> u64 {
        self.set.get(&key(buffer, mark)).copied().unwrap_or(0)
    }

    /// Does the first thing that a stream is asked; false if there is none, or it is held.
    fn advance(&mut self, stream: usize) -> bool {
        match self.streams[stream].front() {
            None => return false,
            Some(&Request::Hold(buffer, mark, times)) if !self.is_passed(buffer, mark, times) => return false,
            Some(&Request::Hold(..)) => {}
            Some(&Request::Copy(buffer)) => self.device[buffer] = self.host[buffer],
            Some(&Request::Set(buffer, mark, times)) => drop(self.passed.insert(key(buffer, mark), times)),
            Some(&Request::Read(buffer, batch)) => self.wrong |= self.device[buffer] != batch,
        }
        self.streams[stream].pop_front();
        true
    }

    fn advance_all(&mut self) {
        while self.advance(0) || self.advance(1) {}
        assert!(self.streams.iter().all(VecDeque::is_empty), "both streams wait for each other");
    }

    /// Some time goes by.
    fn pass_time(&mut self) {
        for _ in 0..self.draws.below(5) {
            let first = self.draws.below(2) as usize;
            let _ = self.advance(first) || self.advance(1 - first);
        }
    }
}

type Shared = Arc<Mutex<World>>;

struct Scattered(Shared);

impl Copier for Scattered {
    fn buffer(&self, length: usize) -> Result<Box<dyn Buffer>> {
        let mut world = self.0.lock().unwrap();
        let number = world.host.len();
        world.host.push(UNFINISHED);
        world.device.push(UNFINISHED);
        // The device's side says which one it is.
        let device = Tensor::full(number as f32, length, &Device::Cpu)?;
        Ok(Box::new(ScatteredBuffer { world: self.0.clone(), number, device, host: vec![0.0; length] }))
    }
}

struct ScatteredBuffer {
    world: Shared,
    number: usize,
    device: Tensor,
    host: Vec<f32>,
}

impl Buffer for ScatteredBuffer {
    /// Who asks for it writes it, and a copy that still goes on reads that.
    fn host(&mut self) -> Result<&mut [f32]> {
        self.world.lock().unwrap().host[self.number] = UNFINISHED;
        Ok(&mut self.host)
    }

    fn device(&self) -> &Tensor {
        &self.device
    }

    fn copy(&mut self, _: usize) -> Result<()> {
        let mut world = self.world.lock().unwrap();
        world.host[self.number] = self.host[0] as u64;
        world.streams[0].push_back(Request::Copy(self.number));
        Ok(())
    }

    fn set(&mut self, mark: Mark) -> Result<()> {
        let mut world = self.world.lock().unwrap();
        let times = world.times(self.number, mark) + 1;
        world.set.insert(key(self.number, mark), times);
        world.streams[stream(mark)].push_back(Request::Set(self.number, mark, times));
        Ok(())
    }

    fn hold(&mut self, mark: Mark) -> Result<()> {
        let mut world = self.world.lock().unwrap();
        let times = world.times(self.number, mark);
        if world.deaf != Some(Ask::Hold(mark)) {
            world.streams[1 - stream(mark)].push_back(Request::Hold(self.number, mark, times));
        }
        Ok(())
    }

    fn wait(&mut self, mark: Mark) -> Result<()> {
        let mut world = self.world.lock().unwrap();
        let times = world.times(self.number, mark);
        while world.deaf != Some(Ask::Wait(mark)) && !world.is_passed(self.number, mark, times) {
            assert!(world.advance(0) || world.advance(1), "both streams wait for each other");
        }
        Ok(())
    }
}

impl Drop for ScatteredBuffer {
    fn drop(&mut self) {
        self.world.lock().unwrap().advance_all();
    }
}

/// Eighty batches as a loader and a step handle them: up to two wait while one is made and one is read. Whether a kernel read
/// what it should not have, and how many buffers there were.
fn feed(seed: u64, deaf: Option<Ask>, sizes: u64) -> (bool, usize) {
    let world = Arc::new(Mutex::new(World {
        streams: Default::default(),
        host: Vec::new(),
        device: Vec::new(),
        set: HashMap::new(),
        passed: HashMap::new(),
        wrong: false,
        deaf,
        draws: Stream::new(seed, "feeder test", 0, 0),
    }));
    let draw = |below| world.lock().unwrap().draws.below(below);
    let feeder = Arc::new(Feeder::new(Box::new(Scattered(world.clone()))));
    let (mut waiting, mut made) = (VecDeque::new(), 0);
    while made < 80 || !waiting.is_empty() {
        if made < 80 && waiting.len() < 3 && draw(2) == 0 {
            made += 1;
            let size = 1 + draw(sizes) as usize;
            let mut room = feeder.planes([1, size, size, 1]).unwrap();
            room.planes_mut().unwrap()[0] = made as f32;
            world.lock().unwrap().pass_time();
            waiting.push_back((made, room.send().unwrap()));
        } else if let Some((batch, mut pixels)) = waiting.pop_front() {
            if draw(4) == 0 {
                pixels.wait().unwrap();
            }
            // One in four fails when it has begun.
            let fails = draw(4) == 0;
            let launch = |device: &Tensor| {
                let number = device.flatten_all()?.get(0)?.to_scalar::<f32>()? as usize;
                world.lock().unwrap().streams[1].push_back(Request::Read(number, batch));
                if fails {
                    candle_core::bail!("no kernel");
                }
                Ok(())
            };
            assert_eq!(pixels.read(launch).is_err(), fails);
        }
        world.lock().unwrap().pass_time();
    }
    let mut world = world.lock().unwrap();
    world.advance_all();
    (world.wrong, world.host.len())
}

#[test]
fn no_buffer_is_used_again_before_its_copy_and_its_kernel_are_done() {
    for seed in 0..300 {
        let (wrong, buffers) = feed(seed, None, 1);
        assert!(!wrong && buffers <= 4, "seed {seed}: {buffers} buffers");
        assert!(!feed(seed, None, 3).0, "seed {seed}, batches of several sizes");
    }
}

/// Or else the test before would prove nothing.
#[test]
fn each_wait_is_needed() {
    for deaf in [Ask::Hold(Mark::Copied), Ask::Hold(Mark::Read), Ask::Wait(Mark::Copied)] {
        assert!((0..300).any(|seed| feed(seed, Some(deaf), 1).0), "{deaf:?}");
    }
}

#[test]
fn larger_batches_take_the_place_of_smaller_ones() {
    let run = || -> Result<()> {
        let feeder = find(&Device::Cpu)?.expect("it is on").feeder()?;
        let free = || feeder.free().iter().map(|buffer| buffer.device().elem_count()).collect::<Vec<_>>();
        let use_up =
            |rooms: Vec<Room>| -> Result<()> { rooms.into_iter().try_for_each(|room| room.send()?.read(|_| Ok(()))) };
        use_up(vec![feeder.planes([1, 2, 2, 3])?, feeder.bytes([1, 3, 3, 1])?])?;
        assert_eq!(free(), [12, 3]);
        // The first that is large enough; a batch of nothing has a place, too.
        use_up(vec![feeder.planes([2, 2, 2, 1])?, feeder.bytes([0, 3, 3, 1])?])?;
        assert_eq!(free(), [12, 3]);
        use_up(vec![feeder.planes([1, 2, 10, 1])?])?;
        assert_eq!(free(), [3, 20]);
        // What was never sent, or never read, is not used again.
        drop(feeder.planes([1, 2, 2, 1])?);
        drop(feeder.planes([1, 1, 1, 1])?.send()?);
        assert_eq!(free(), [0; 0]);
        let mut bytes = feeder.bytes([1, 3, 3, 1])?;
        assert_eq!((bytes.bytes_mut()?.len(), bytes.planes_mut()?.len()), (9, 0));
        let mut planes = feeder.planes([1, 3, 3, 1])?;
        assert_eq!((planes.bytes_mut()?.len(), planes.planes_mut()?.len()), (0, 9));
        Ok(())
    };
    if let Some(result) = pretend::on(run) {
        result.unwrap();
    }
}
