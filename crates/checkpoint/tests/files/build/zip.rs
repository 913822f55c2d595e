//! Writes zip archives of stored records, as `torch.save` does.

/// A record of an archive. Fields that a test does not change are right.
struct Record {
    name: String,
    bytes: Vec<u8>,
    method: u16,
    /// Size that the directory claims.
    size: u32,
    /// Where the directory says that the record begins; `None` is where it is.
    start: Option<u32>,
}

/// An archive that is not finished.
#[derive(Default)]
pub struct Zip(Vec<Record>);

impl Zip {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn record(mut self, name: &str, bytes: &[u8]) -> Self {
        let size = u32::try_from(bytes.len()).unwrap();
        self.0.push(Record { name: name.into(), bytes: bytes.into(), method: 0, size, start: None });
        self
    }

    /// The last record claims to be compressed by this method.
    pub fn method(mut self, method: u16) -> Self {
        self.0.last_mut().unwrap().method = method;
        self
    }

    /// The last record claims this size.
    pub fn size(mut self, size: u32) -> Self {
        self.0.last_mut().unwrap().size = size;
        self
    }

    /// The last record claims to begin at this byte.
    pub fn start(mut self, start: u32) -> Self {
        self.0.last_mut().unwrap().start = Some(start);
        self
    }

    /// The bytes of the archive: records, directory, end.
    pub fn finish(self) -> Vec<u8> {
        let mut file = Vec::new();
        let mut directory = Vec::new();
        let count = u16::try_from(self.0.len()).unwrap();
        for record in self.0 {
            let start = record.start.unwrap_or(u32::try_from(file.len()).unwrap());
            let common = |file: &mut Vec<u8>| {
                file.extend([20, 0, 0, 0]); // version, flags
                file.extend(record.method.to_le_bytes());
                file.extend([0; 4 + 4]); // time and date, checksum
                file.extend(record.size.to_le_bytes().repeat(2));
                file.extend(u16::try_from(record.name.len()).unwrap().to_le_bytes());
                file.extend([0, 0]); // extra field
            };
            file.extend(b"PK\x03\x04");
            common(&mut file);
            file.extend(record.name.as_bytes());
            file.extend(&record.bytes);
            directory.extend(b"PK\x01\x02\x14\x00");
            common(&mut directory);
            directory.extend([0; 2 + 2 + 2 + 4]); // comment, disk, attributes
            directory.extend(start.to_le_bytes());
            directory.extend(record.name.as_bytes());
        }
        let start = u32::try_from(file.len()).unwrap();
        file.extend(&directory);
        file.extend(b"PK\x05\x06\0\0\0\0");
        file.extend(count.to_le_bytes().repeat(2));
        file.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
        file.extend(start.to_le_bytes());
        file.extend([0, 0]); // comment
        file
    }

    /// A checkpoint with this pickle, and the storage `0` with the numbers 1 and 2.
    pub fn checkpoint(pickle: &[u8]) -> Self {
        let start = Self::new().record("archive/data.pkl", pickle).record("archive/byteorder", b"little");
        start.record("archive/data/0", &super::floats(&[1.0, 2.0]))
    }
}
