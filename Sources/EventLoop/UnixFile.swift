// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc

/// The file that binding a Unix socket made. It is known by device and inode, so that a file which
/// another process has put in its place since is left alone.
struct UnixFile: Equatable {
    private let path: String
    private let device: UInt
    private let inode: UInt

    /// Binds `handle` to the path, in place of a socket file that nobody listens to any more.
    ///
    /// Two processes that find the same stale file in the same instant may both believe to have
    /// replaced it; the path then leads to the later one.
    static func bind(
        _ handle: borrowing Descriptor, _ address: SocketAddress, _ path: String
    ) throws(SystemFault) -> UnixFile? {
        var result = handle.bind(address)
        if result == -Int(EADDRINUSE), let stale = UnixFile(socketAt: path), try isDead(address) {
            stale.remove()
            result = handle.bind(address)
        }
        try System.check(result)
        return UnixFile(socketAt: path)
    }

    /// Removes the file, unless it is another one by now.
    func remove() {
        guard UnixFile(socketAt: path) == self else { return }
        _ = System.once { unsafe unlink(path) }
    }

    /// Nil when there is no socket at the path.
    private init?(socketAt path: String) {
        var found = stat()
        guard System.once({ unsafe lstat(path, &found) }) >= 0,
            found.st_mode & S_IFMT == S_IFSOCK
        else { return nil }
        self.path = path
        device = UInt(found.st_dev)
        inode = UInt(found.st_ino)
    }

    /// Whether a connection is refused: a listener that is merely busy answers otherwise.
    private static func isDead(_ address: SocketAddress) throws(SystemFault) -> Bool {
        let probe = try Descriptor(checking: System.once { penstock_stream_socket(AF_UNIX) })
        let raw = probe.raw
        let result = unsafe address.withSystemForm { system, length in
            System.retrying { unsafe connect(raw, system, length) }
        }
        return result == -Int(ECONNREFUSED)
    }
}
