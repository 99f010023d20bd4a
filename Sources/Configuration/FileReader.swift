// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Reads files: the configuration itself, and the secrets that it points to.
enum FileReader {
    /// Why a file could not be read, in words for a message.
    struct Fault: Error, Equatable {
        let reason: String
    }

    /// The bytes of a file; a larger one than `limit` is refused, not cut.
    static func bytes(of path: String, limit: Int) throws(Fault) -> [UInt8] {
        do {
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer { try? handle.close() }
            var bytes: [UInt8] = []
            while bytes.count <= limit {
                let wanted = limit + 1 - bytes.count
                guard let more = try handle.read(upToCount: wanted), !more.isEmpty else {
                    return bytes
                }
                bytes.append(contentsOf: more)
            }
        } catch {
            throw Fault(reason: "cannot be read: \(reason(path))")
        }
        throw Fault(reason: "is larger than \(limit) bytes")
    }

    /// The text of a secret's file without its last line break; only a regular file, because a pipe
    /// would stop a reload for ever.
    static func secret(at path: String, folder: String) throws(Fault) -> String {
        var bytes = try regularFile(at: path, folder: folder, limit: 65_536)
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Fault(reason: "is not UTF-8 text")
        }
        guard !text.isEmpty else { throw Fault(reason: "is empty") }
        return text
    }

    /// The bytes of a regular file of at most `limit`.
    static func regularFile(
        at path: String, folder: String, limit: Int
    ) throws(Fault) -> [UInt8] {
        let path = resolve(path, in: folder)
        if let kind = kind(of: path), kind != .typeRegular {
            throw Fault(reason: "is not a regular file")
        }
        return try bytes(of: path, limit: limit)
    }

    /// Relative paths are meant beside the configuration file.
    static func resolve(_ path: String, in folder: String) -> String {
        if path.hasPrefix("/") || folder.isEmpty { return path }
        return folder.hasSuffix("/") ? folder + path : "\(folder)/\(path)"
    }

    private static func reason(_ path: String) -> String {
        let files = FileManager.default
        guard files.fileExists(atPath: path) else { return "no such file" }
        if kind(of: path) == .typeDirectory { return "it is a folder" }
        return files.isReadableFile(atPath: path) ? "input error" : "permission denied"
    }

    /// What a path leads to; nil when it leads nowhere.
    private static func kind(of path: String) -> FileAttributeType? {
        let target = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        let attributes = try? FileManager.default.attributesOfItem(atPath: target)
        return attributes?[.type] as? FileAttributeType
    }
}
