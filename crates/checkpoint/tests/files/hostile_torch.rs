//! PyTorch files that were made to do harm, or are damaged: each is refused, and the message says why.

use crate::build::{Pickle, Zip, floats, open, refusal};

/// A checkpoint in a zip archive with this pickle.
fn archive(pickle: Pickle) -> Vec<u8> {
    Zip::checkpoint(&pickle.finish()).finish()
}

/// A dictionary with the tensor `w` and another value.
fn beside(value: impl Fn(Pickle) -> Pickle) -> Vec<u8> {
    archive(value(Pickle::state_dict().text("x")).set_item())
}

/// A checkpoint with one tensor, of a storage `0` that has two 32-bit floats.
fn view(storage: (&str, &str, i64), offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    archive(Pickle::new().dict().text("w").tensor(storage, offset, shape, strides).set_item())
}

#[test]
fn the_files_that_are_changed_here_are_right_before() {
    assert_eq!(open(&archive(Pickle::state_dict())).unwrap().read("w").unwrap(), [1.0, 2.0]);
    let checkpoint = open(&beside(|pickle| pickle.int(3))).unwrap();
    assert_eq!(checkpoint.values()["x"], ptu_checkpoint::Value::Int(3));
}

#[test]
fn code_is_refused_by_its_name() {
    let call = |module, name| beside(move |pickle| pickle.global(module, name).mark().text("id").tuple().reduce());
    for (module, name) in [
        ("posix", "system"),
        ("os", "system"),
        ("nt", "system"),
        ("subprocess", "Popen"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("__builtin__", "getattr"),
        ("builtins", "getattr"),
        ("importlib", "import_module"),
        ("pickle", "loads"),
        ("torch", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("torch.hub", "load"),
        ("numpy", "load"),
        ("functools", "partial"),
        ("operator", "attrgetter"),
        ("copyreg", "_reconstructor"),
        ("numpy.testing._private.utils", "runstring"),
        ("torch.nn.modules.container", "Sequential"),
    ] {
        let message = refusal(&call(module, name));
        assert!(message.contains(&format!("`{module}.{name}`")), "{message}");
        assert!(message.contains("run code") && message.contains("safetensors"), "{message}");
    }
}

#[test]
fn code_is_refused_in_each_way_to_name_and_to_call_it() {
    let stack_global = |pickle: Pickle| pickle.text("posix").text("system").raw(&[0x93]);
    assert!(refusal(&beside(stack_global)).contains("`posix.system`"), "without a call");
    // getattr(getattr(builtins, "eval"), ...), as some scanners let pass
    let nested = |pickle: Pickle| pickle.text("builtins").text("getattr").raw(&[0x93]).mark().global("os", "path");
    assert!(refusal(&beside(nested)).contains("`builtins.getattr`"));
    let dotted = |pickle: Pickle| pickle.text("torch").text("storage.io.open").raw(&[0x93]);
    assert!(refusal(&beside(dotted)).contains("`torch.storage.io.open`"));
    // A class of Lightning may be named, as a key of its checkpoints, but not called.
    let module = "pytorch_lightning.callbacks.model_checkpoint";
    assert!(open(&beside(|pickle| pickle.global(module, "ModelCheckpoint"))).is_ok());
    for call in [b"R", &[0x81]] {
        let called = |pickle: Pickle| pickle.global(module, "ModelCheckpoint").raw(b")").raw(call);
        let message = refusal(&beside(called));
        assert!(message.contains("ModelCheckpoint`") && message.contains("run code"), "{message}");
    }
    // Operations of old pickles that call: INST, OBJ, EXT1, and a persistent id as text.
    for operation in [&b"(iposix\nsystem\n"[..], b"(o", &[0x82, 1], b"P0\n", &[0x92]] {
        assert!(refusal(&beside(|pickle| pickle.raw(operation))).contains("not used by `torch.save`"));
    }
}

#[test]
fn objects_are_what_the_operations_need() {
    let cases: &[(&str, &dyn Fn(Pickle) -> Pickle)] = &[
        ("no dictionary", &|pickle| pickle.list().text("k").int(1).set_item()),
        ("no dictionary", &|pickle| pickle.int(1).mark().text("k").int(1).set_items()),
        ("no dictionary", &|pickle| pickle.tensor(("FloatStorage", "0", 2), 0, &[2], &[1]).text("k").int(1).set_item()),
        ("no dictionary", &|pickle| pickle.storage("FloatStorage", "0", 2).mark().text("k").int(1).set_items()),
        ("no dictionary", &|pickle| pickle.global("torch", "Size").text("k").int(1).set_item()),
        ("has no value", &|pickle| pickle.dict().mark().text("k").set_items()),
        ("no list", &|pickle| pickle.dict().int(1).append()),
        ("attributes of an object that has none", &|pickle| pickle.dict().dict().raw(b"b")),
        ("attributes of an object that has none", &|pickle| pickle.int(1).dict().raw(b"b")),
        ("no function or class", &|pickle| pickle.int(1).raw(b")").reduce()),
        ("no tuple", &|pickle| pickle.global("torch", "Size").int(1).reduce()),
        ("was not made", &|pickle| pickle.get(77)),
        ("did not begin", &|pickle| pickle.raw(b"t")),
        ("more values than there are", &|pickle| pickle.mark().raw(b"a")),
        ("no storage", &|pickle| pickle.mark().text("module").int(1).int(1).int(1).int(1).tuple().raw(b"Q")),
        ("view of another storage", &|pickle| {
            let start = pickle.mark().text("storage").global("torch", "FloatStorage").text("0").text("cpu").int(2);
            start.mark().text("1").int(0).int(2).tuple().tuple().raw(b"Q")
        }),
        ("too few parts", &|pickle| pickle.mark().text("storage").tuple().raw(b"Q")),
        ("other arguments", &|pickle| pickle.global("torch._utils", "_rebuild_tensor_v2").raw(b")").reduce()),
        ("has no storage", &|pickle| {
            let start = pickle.global("torch._utils", "_rebuild_tensor_v2").mark();
            start.int(0).int(0).mark().tuple().mark().tuple().tuple().reduce()
        }),
        ("protocol 6", &|pickle| pickle.raw(&[0x80, 6])),
        ("ends early", &|pickle| pickle.raw(b"X\xff\xff\xff\xff")),
        ("ends early", &|pickle| pickle.raw(b"B\xff\xff\xff\xff")),
        ("not UTF-8", &|pickle| pickle.raw(b"X\x01\x00\x00\x00\xff")),
    ];
    for (cause, value) in cases {
        let message = refusal(&beside(value));
        assert!(message.contains(cause), "{cause}: {message}");
    }
}

#[test]
fn nesting_and_repetition_end_with_an_error() {
    let itself = |pickle: Pickle| pickle.list().put(1).get(1).append();
    assert!(refusal(&beside(itself)).contains("contains itself"));
    let dictionary = |pickle: Pickle| pickle.dict().put(1).text("k").get(1).set_item();
    assert!(refusal(&beside(dictionary)).contains("contains itself"));
    let deep = |pickle: Pickle| (0..200_000).fold(pickle.list(), |pickle, _| pickle.raw(&[0x85]));
    assert!(refusal(&beside(deep)).contains("more than 32 containers"));
    let marks = |pickle: Pickle| pickle.raw(&b"(".repeat(2000));
    assert!(refusal(&beside(marks)).contains("containers in each other"));
    // Each list holds the one before it twice: 2^24 values in 200 bytes.
    let doubled = |pickle: Pickle| {
        let next = |pickle: Pickle, level| pickle.list().put(level + 1).get(level).append().get(level).append();
        (0..24).fold(pickle.mark().list().put(0), next).tuple()
    };
    assert!(refusal(&beside(doubled)).contains("values"));
    let objects = |pickle: Pickle| pickle.mark().raw(&b"]".repeat(3 << 20)).tuple();
    assert!(refusal(&beside(objects)).contains("more than 2097152 objects"));
    // A text of 1 MB that is a value 20,000 times.
    let text = "x".repeat(1 << 20);
    let texts = |pickle: Pickle| pickle.mark().text(&text).put(1).raw(&b"h\x01".repeat(20_000)).tuple();
    assert!(refusal(&beside(texts)).contains("values"));
    assert!(refusal(&beside(|pickle| pickle.text(&"x".repeat((1 << 20) + 1)))).contains("at most 1048576"));
}

#[test]
fn views_stay_within_their_storage() {
    let storage = ("FloatStorage", "0", 2);
    let beyond = "beyond its storage of 2 elements";
    let negative = "negative";
    for (cause, file) in [
        (beyond, view(storage, 0, &[3], &[1])),
        (beyond, view(storage, 1, &[2], &[1])),
        (beyond, view(storage, 0, &[2], &[2])),
        (beyond, view(storage, 2, &[1], &[1])),
        (beyond, view(storage, i64::MAX, &[1], &[1])),
        (beyond, view(storage, 0, &[2], &[i64::MAX])),
        (beyond, view(storage, 1, &[3, 3], &[i64::MAX, i64::MAX])),
        (negative, view(storage, -1, &[2], &[1])),
        (negative, view(storage, 0, &[-2], &[1])),
        (negative, view(storage, 1, &[2], &[-1])),
        (negative, view(storage, 0, &[1; 17], &[1; 17])),
        ("more elements than any memory", view(storage, 0, &[i64::MAX, 4], &[0, 0])),
        ("more elements than any memory", view(storage, 0, &[0, i64::MAX, 4], &[0, 0, 0])),
        ("another number of strides", view(storage, 0, &[2], &[])),
        ("said to have 3 elements", view(("FloatStorage", "0", 3), 0, &[2], &[1])),
        ("said to have 1 elements", view(("FloatStorage", "0", 1), 0, &[1], &[1])),
        ("said to have 2 elements", view(("DoubleStorage", "0", 2), 0, &[2], &[1])),
        ("elements, but has 8 bytes", view(("FloatStorage", "0", i64::MAX), 0, &[2], &[1])),
        ("is negative", view(("FloatStorage", "0", -2), 0, &[2], &[1])),
        ("not in the file", view(("FloatStorage", "1", 2), 0, &[2], &[1])),
        ("not in the file", view(("FloatStorage", "../../x", 2), 0, &[2], &[1])),
        ("more than 64 bytes", view(("FloatStorage", &"0".repeat(65), 2), 0, &[2], &[1])),
        ("`torch.EvilStorage`", view(("EvilStorage", "0", 2), 0, &[2], &[1])),
    ] {
        let message = refusal(&file);
        assert!(message.contains(cause), "{cause}: {message}");
    }
    // A stride of 0 makes a large tensor of two numbers. It opens, but is not read.
    let checkpoint = open(&view(storage, 0, &[1 << 40], &[0])).unwrap();
    assert_eq!(checkpoint.info("w").unwrap().shape, [1 << 40]);
    assert!(checkpoint.read("w").unwrap_err().to_string().contains("repeat elements"));
}

#[test]
fn archives_have_one_meaning() {
    let pickle = Pickle::state_dict().finish();
    let whole = || Zip::checkpoint(&pickle);
    let file = whole().finish();
    let with = |bytes: &[u8]| [&file[..], bytes].concat();
    // A record that lies within the bytes of another.
    let local = Zip::new().record("archive/data/2", &[7; 8]).finish()[..30 + 14 + 8].to_vec();
    let outer = || whole().record("archive/data/1", &local);
    let at = outer().finish().windows(local.len()).position(|bytes| bytes == local).unwrap();
    let inside = outer().record("archive/data/2", &[7; 8]).start(u32::try_from(at).unwrap()).finish();
    for (cause, file) in [
        ("cut off or has bytes after", file[..file.len() / 2].to_vec()),
        ("cut off or has bytes after", with(b"x")),
        ("cut off or has bytes after", with(&[0; 100])),
        ("bytes before", [&b"PK\x03\x04"[..], &file].concat()),
        ("overlap", whole().record("archive/data/1", b"").start(0).finish()),
        ("overlap", inside),
        ("same name", whole().record("archive/data.pkl", b"").finish()),
        ("compressed or encrypted", whole().record("archive/data/1", b"x").method(8).finish()),
        ("overlap", whole().record("archive/data/1", b"x").size(4000).finish()),
        ("overlap", whole().record("archive/data/1", b"x").size(u32::MAX - 1).finish()),
        ("more than one `data.pkl`", whole().record("other/data.pkl", b"").finish()),
        ("without PyTorch's `data.pkl`", Zip::new().record("a/b", b"").finish()),
        ("without PyTorch's `data.pkl`", Zip::new().finish()),
        ("not little-endian", { Zip::new().record("a/data.pkl", &pickle).record("a/byteorder", b"big").finish() }),
        ("bytes after its pickle", Zip::checkpoint(&[&pickle[..], b"."].concat()).finish()),
        ("ends early", Zip::checkpoint(&pickle[..pickle.len() / 2]).finish()),
        ("ends early", Zip::checkpoint(b"").finish()),
        ("TorchScript archive", whole().record("archive/constants.pkl", b"").finish()),
        ("torch.jit.load('", whole().record("archive/code/__torch__.py", b"x").method(8).finish()),
    ] {
        let message = refusal(&file);
        assert!(message.contains(cause) || message.contains("no format"), "{cause}: {message}");
    }
}

#[test]
fn tensors_share_storages() {
    let one = |pickle: Pickle, name: &str| pickle.text(name).tensor(("FloatStorage", "0", 2), 0, &[2], &[1]).set_item();
    let tied = open(&archive(one(one(Pickle::new().dict(), "a"), "b"))).unwrap();
    assert_eq!(tied.read("a").unwrap(), tied.read("b").unwrap());
    assert!(refusal(&archive(one(one(Pickle::new().dict(), "a"), "a"))).contains("occurs twice"));
}

#[test]
fn without_named_tensors_there_is_no_checkpoint() {
    assert!(refusal(&archive(Pickle::new().dict())).contains("no tensors with a name"));
    assert!(refusal(&archive(Pickle::new().int(1))).contains("no tensors with a name"));
    let bare = Pickle::new().tensor(("FloatStorage", "0", 2), 0, &[2], &[1]);
    assert!(refusal(&archive(bare)).contains("no tensors with a name"));
}

/// The format before PyTorch 1.6: version, byte order, state dict, keys, sizes with storages.
fn legacy(version: i64, little: u8, state: Pickle, keys: &[&str], storages: &[u8]) -> Vec<u8> {
    let magic = Pickle::new().raw(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19").finish();
    let system = Pickle::new().dict().text("little_endian").raw(&[little]).set_item();
    let keys = keys.iter().fold(Pickle::new().list(), |pickle, key| pickle.text(key).append());
    let header = [magic, Pickle::new().int(version).finish(), system.finish()].concat();
    [header, state.finish(), keys.finish(), storages.to_vec()].concat()
}

#[test]
fn the_legacy_format_is_checked_as_well() {
    let storage = |count: i64| [&count.to_le_bytes()[..], &floats(&[1.0, 2.0])].concat();
    let state = Pickle::state_dict;
    let whole = legacy(1001, 0x88, state(), &["0"], &storage(2));
    assert_eq!(open(&whole).unwrap().read("w").unwrap(), [1.0, 2.0]);
    let evil = state().text("x").global("posix", "system").set_item();
    let two = state().text("x").tensor(("DoubleStorage", "0", 1), 0, &[1], &[1]).set_item();
    for (cause, file) in [
        ("version is not 1001", legacy(1002, 0x88, state(), &["0"], &storage(2))),
        ("not little-endian", legacy(1001, 0x89, state(), &["0"], &storage(2))),
        ("`posix.system`", legacy(1001, 0x88, evil, &["0"], &storage(2))),
        ("beyond the file", legacy(1001, 0x88, state(), &["0"], &storage(3))),
        ("beyond the file", legacy(1001, 0x88, state(), &["0"], &storage(i64::MAX))),
        ("beyond the file", legacy(1001, 0x88, state(), &["0"], &storage(-1))),
        ("said to have 2 elements", legacy(1001, 0x88, state(), &["0"], &storage(1)[..12])),
        ("bytes after the last storage", legacy(1001, 0x88, state(), &["0"], &[&storage(2)[..], b"x"].concat())),
        ("bytes after the last storage", legacy(1001, 0x88, state(), &[], &storage(2))),
        ("no tensor describes it", legacy(1001, 0x88, state(), &["1"], &storage(2))),
        ("listed twice", legacy(1001, 0x88, state(), &["0", "0"], &[storage(2), storage(2)].concat())),
        ("described in two ways", legacy(1001, 0x88, two, &["0"], &storage(2))),
        ("not in the file", legacy(1001, 0x88, state(), &[], &[])),
        ("ends early", whole[..whole.len() / 2].to_vec()),
    ] {
        let message = refusal(&file);
        assert!(message.contains(cause), "{cause}: {message}");
    }
}

#[test]
fn other_files_are_told_by_what_they_are() {
    let mut tar = vec![0; 1024];
    tar[..7].copy_from_slice(b"pickle\0");
    tar[257..262].copy_from_slice(b"ustar");
    for (cause, file) in [
        ("legacy format of PyTorch before 0.1.10", tar),
        ("empty", vec![]),
        ("none of `torch.save`", Pickle::state_dict().finish()),
        ("none of `torch.save`", Pickle::new().global("posix", "system").finish()),
        ("Git LFS", b"version https://git-lfs.github.com/spec/v1\n".to_vec()),
        ("gzip", b"\x1f\x8b\x08".to_vec()),
        ("web page", b"<!doctype html>".to_vec()),
        ("no format", b"weights".to_vec()),
        ("no format", vec![0; 1000]),
    ] {
        let message = refusal(&file);
        assert!(message.contains(cause), "{cause}: {message}");
    }
}
