// SPDX-License-Identifier: Apache-2.0
import Glibc
import Units

/// A fault of reading or writing a file.
public enum FileFault: Error, Sendable, Equatable {
    case system(SystemFault)
    /// It has more bytes than the caller accepts.
    case tooLarge(limit: Int)
}

/// Small files, for the control thread: these calls block.
public enum Files {
    /// All bytes of a file of at most `limit`.
    public static func readFile(_ path: String, limit: Int) throws(FileFault) -> [UInt8] {
        do {
            let handle = try open(path, O_RDONLY)
            let bytes = try read(handle, past: limit)
            if bytes.count <= limit { return bytes }
        } catch {
            throw .system(error)
        }
        throw .tooLarge(limit: limit)
    }

    /// What tells that a file was written anew, or another one put in its place; nil where there
    /// is none. Links are followed, as Kubernetes changes what is mounted by a link.
    public static func stamp(_ path: String) -> FileStamp? {
        var found = stat()
        guard !path.utf8.contains(0), unsafe stat(path, &found) == 0 else { return nil }
        return FileStamp(
            node: UInt64(found.st_ino), size: Int64(found.st_size),
            changed: Int64(found.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(found.st_mtim.tv_nsec))
    }

    /// Puts a file with these bytes at the path, readable for its owner only (0600). Whatever
    /// happens, the path leads to the old bytes or to the new, and to the new for good once this
    /// returns.
    public static func replaceFile(_ path: String, _ bytes: [UInt8]) throws(FileFault) {
        // Beside it, because a rename does not cross file systems.
        let fresh = "\(path).\(String(randomSeed(), radix: 36)).new"
        do {
            try write(fresh, bytes)
            try settle(fresh, at: path)
        } catch {
            _ = System.once { unsafe unlink(fresh) }
            throw .system(error)
        }
    }

    private static func open(_ path: String, _ flags: Int32) throws(SystemFault) -> Descriptor {
        // The system would see the part before it.
        if path.utf8.contains(0) { throw .notFound }
        return try Descriptor(
            checking: System.retrying { unsafe Glibc.open(path, flags | O_CLOEXEC, 0o600) })
    }

    /// All bytes, or the first ones if there are more than `limit`: then more than `limit` too.
    private static func read(
        _ handle: borrowing Descriptor, past limit: Int
    ) throws(SystemFault) -> [UInt8] {
        let raw = handle.raw
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= limit {
            let count = try System.check(
                System.retrying { unsafe Glibc.read(raw, &chunk, chunk.count) })
            if count == 0 { break }
            bytes.append(contentsOf: chunk[..<count])
        }
        return bytes
    }

    private static func write(_ path: String, _ bytes: [UInt8]) throws(SystemFault) {
        let handle = try open(path, O_WRONLY | O_CREAT | O_EXCL)
        let raw = handle.raw
        var written = 0
        while written < bytes.count {
            written += try System.check(
                System.retrying {
                    unsafe bytes.withUnsafeBytes { all in
                        let rest = unsafe UnsafeRawBufferPointer(rebasing: all[written...])
                        return unsafe Glibc.write(raw, rest.baseAddress, rest.count)
                    }
                })
        }
        try System.check(System.retrying { fsync(raw) })
    }

    /// Renames, and waits for the disk: a rename is on it only when its folder is.
    private static func settle(_ fresh: String, at path: String) throws(SystemFault) {
        let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
        let folder = try open(slash.map { String(path[...$0]) } ?? ".", O_RDONLY | O_DIRECTORY)
        let raw = folder.raw
        try System.check(System.retrying { unsafe rename(fresh, path) })
        try System.check(System.retrying { fsync(raw) })
    }
}

/// A file as it was at one moment.
public struct FileStamp: Sendable, Equatable {
    let node: UInt64
    let size: Int64
    /// Nanoseconds since 1970.
    let changed: Int64
}
