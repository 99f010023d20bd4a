// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import EventLoop

/// Whom connections to servers trust, and who they say that they are.
public struct TLSClientSetup: Sendable, Equatable {
    /// A PEM file of those whom to trust; nil: those that the system trusts.
    public var authority: String?
    /// Our own, where servers want one.
    public var identity: TLSIdentity?
    /// In the order of preference; nothing is offered where it is empty.
    public var protocols: [ApplicationProtocol]

    public init(
        authority: String? = nil, identity: TLSIdentity? = nil,
        protocols: [ApplicationProtocol] = []
    ) {
        self.authority = authority
        self.identity = identity
        self.protocols = protocols
    }
}

/// What TLS connections to servers are made with; certificates of servers are always verified.
///
/// Never changed once it is made, so that all threads share it.
@safe
public final class TLSClientContext: Sendable {
    /// As a number: pointers do not cross threads, and this one may.
    private let number: UInt
    var context: OpaquePointer? { unsafe OpaquePointer(bitPattern: number) }

    /// Reads all files, which blocks. Nothing is kept open.
    public init(_ setup: TLSClientSetup) throws(TLSFault) {
        guard let made = unsafe SSL_CTX_new(TLS_client_method()) else {
            throw .library("no memory")
        }
        number = UInt(bitPattern: made)
        try unsafe TLSDefaults.apply(to: made, isModernOnly: false)
        unsafe SSL_CTX_set_verify(made, SSL_VERIFY_PEER, nil)
        if let authority = setup.authority {
            _ = try unsafe TLSFiles.trust(authority, in: made)
        } else {
            guard unsafe SSL_CTX_set_default_verify_paths(made) == 1 else {
                throw .library("this system has no certificates")
            }
        }
        if let identity = setup.identity { _ = try unsafe TLSFiles.use(identity, in: made) }
        var spelled: [UInt8] = []
        for name in setup.protocols.map(\.rawValue) {
            spelled.append(UInt8(name.utf8.count))
            spelled += name.utf8
        }
        guard !spelled.isEmpty else { return }
        guard unsafe SSL_CTX_set_alpn_protos(made, spelled, UInt32(spelled.count)) == 0
        else { throw .library("protocols") }
    }

    deinit { unsafe SSL_CTX_free(context) }
}

/// How a connection to a server is protected.
public enum ClientSecurity: Sendable {
    case none
    /// The server has to prove that it is `name`, a host's name or an IP literal.
    case tls(TLSClientContext, name: String)

    func open(_ socket: consuming Socket) throws(SystemFault) -> Channel {
        switch self {
        case .none: return Channel(socket)
        case .tls(let context, let name):
            do throws(TLSFault) {
                return try Channel(socket, connecting: context, to: name)
            } catch {
                // Names are checked before: only memory can be short.
                throw .noMemory
            }
        }
    }
}
