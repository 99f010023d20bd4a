// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc

/// A file that one process writes at its end, for a thread that may block.
public struct AppendFile: ~Copyable {
    private let handle: Descriptor
    /// Bytes of it, as this process knows.
    public private(set) var count: Int

    /// Opens the file, or makes it, readable for its owner and group (0640).
    public init(_ path: String) throws(SystemFault) {
        let path = Files.shown(path)
        let opened = try Descriptor(
            checking: System.retrying {
                unsafe open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
            })
        let raw = opened.raw
        count = try System.check(System.once { lseek(raw, 0, SEEK_END) })
        handle = opened
    }

    /// Whether the last byte is a line feed, or there is none: what the end of a process tore is
    /// not.
    public func endsALine() throws(SystemFault) -> Bool {
        guard count > 0 else { return true }
        let raw = handle.raw
        let place = off_t(count - 1)
        var last: UInt8 = 0
        let got = try System.check(System.retrying { unsafe pread(raw, &last, 1, place) })
        return got == 1 && last == UInt8(ascii: "\n")
    }

    /// Writes all of `bytes`, or leaves the file as it was as far as the system lets it.
    public mutating func append(_ bytes: UnsafeRawBufferPointer) throws(SystemFault) {
        let raw = handle.raw
        var written = 0
        while written < bytes.count {
            let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[written...])
            let result = System.retrying { unsafe write(raw, rest.baseAddress, rest.count) }
            guard result > 0 else {
                let kept = off_t(count)
                if System.once({ ftruncate(raw, kept) }) < 0 { count += written }
                throw SystemFault(code: result == 0 ? ENOSPC : Int32(-result))
            }
            written += result
        }
        count += written
    }

    /// Waits until the disk has all of it.
    public func sync() throws(SystemFault) {
        let raw = handle.raw
        try System.check(System.retrying { fdatasync(raw) })
    }
}

/// A file that tells other processes to keep away, for as long as this one lives.
public struct LockFile: ~Copyable {
    private let handle: Descriptor

    /// Throws `addressInUse` where another process has it.
    public init(_ path: String) throws(SystemFault) {
        let path = Files.shown(path)
        let opened = try Descriptor(
            checking: System.retrying {
                unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
            })
        let raw = opened.raw
        let result = System.retrying { flock(raw, LOCK_EX | LOCK_NB) }
        if result == -Int(EWOULDBLOCK) { throw .addressInUse }
        try System.check(result)
        handle = opened
    }
}

extension Files {
    /// The path as the system sees it whole; with a zero byte in it, it leads nowhere.
    static func shown(_ path: String) -> String { path.utf8.contains(0) ? "" : path }

    /// Gives a file another name, which no file has; false where one has it.
    public static func renameToNew(_ path: String, _ other: String) throws(SystemFault) -> Bool {
        let result = System.once { unsafe penstock_rename_to_new(path, other) }
        if result == -Int(EEXIST) { return false }
        try System.check(result)
        return true
    }

    /// The names in a folder, in their order; at most `limit` of them.
    public static func names(in folder: String, limit: Int) throws(SystemFault) -> [String] {
        guard let stream = unsafe opendir(folder) else { throw SystemFault(code: errno) }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while names.count < limit, let entry = unsafe readdir(stream) {
            let name = unsafe String(cString: penstock_entry_name(entry))
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Removes a file; one that is not there is removed.
    public static func remove(_ path: String) throws(SystemFault) {
        let result = System.once { unsafe unlink(path) }
        if result != -Int(ENOENT) { try System.check(result) }
    }

    /// Waits until the disk has the names in the folder of `path`.
    public static func syncFolder(of path: String) throws(SystemFault) {
        let handle = try Descriptor(
            checking: System.retrying {
                unsafe open(folder(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            })
        let raw = handle.raw
        try System.check(System.retrying { fsync(raw) })
    }

    /// The folder part of a path, and the name behind it.
    public static func folder(of path: String) -> String {
        path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[...$0]) } ?? "."
    }

    /// When a file was last written, in seconds since 1970; nil where there is none.
    public static func modified(_ path: String) -> Int? {
        var found = stat()
        guard System.once({ unsafe stat(path, &found) }) >= 0 else { return nil }
        return Int(found.st_mtim.tv_sec)
    }
}
