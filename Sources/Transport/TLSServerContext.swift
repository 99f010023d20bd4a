// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import Units

/// How a listener shows itself, and whom it asks who they are.
public struct TLSServerSetup: Sendable, Equatable {
    /// What clients that are not asked for a certificate, or those that are, get to hear.
    public enum ClientCertificates: Sendable, Equatable {
        case none
        /// Whoever shows one has to have it from `authority`, a PEM file.
        case optional(authority: String)
        /// Without one there is no connection.
        case required(authority: String)
    }

    /// The first is shown to clients that ask for no name, or for one that none of them has.
    public var identities: [TLSIdentity]
    public var clients = ClientCertificates.none
    /// TLS 1.2 is not spoken.
    public var isModernOnly = false
    /// In the order of preference; what a client offers beside them is refused (RFC 7301).
    public var protocols: [ApplicationProtocol]

    public init(identities: [TLSIdentity], protocols: [ApplicationProtocol]) {
        self.identities = identities
        self.protocols = protocols
    }
}

/// What a listener's TLS sessions are made with: certificates by name, whom to trust, tickets.
///
/// Never changed once it is made, so that all workers share it; a reload makes another. OpenSSL
/// counts a context's users itself, from any thread.
@safe
public final class TLSServerContext: Sendable {
    /// Mozilla's intermediate list of 2024 without finite fields: forward secrecy and authenticated
    /// encryption only.
    private static let ciphers =
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
        + "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
        + "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
    private static let groups = "X25519:P-256:P-384"

    /// One for each identity, as numbers: pointers do not cross threads, and these may.
    private let contexts: [UInt]
    /// From a certificate's name to its place.
    private let names: [String: Int]
    /// From `example.com` to the place of a certificate for `*.example.com`.
    private let wildcards: [String: Int]
    /// As ALPN spells them, each behind its length.
    private let protocols: UInt
    private let protocolBytes: Int
    private let tickets: TicketKeys
    /// Whom the certificates are of, in the order of the setup.
    public let holders: [TLSHolder]

    /// Of the first identity.
    var context: OpaquePointer? { unsafe OpaquePointer(bitPattern: contexts[0]) }

    /// Reads all files, which blocks. Nothing is kept open.
    public init(_ setup: TLSServerSetup, tickets: TicketKeys) throws(TLSFault) {
        invariant(!setup.identities.isEmpty, "a listener has a certificate")
        var spelled: [UInt8] = []
        for name in setup.protocols.map(\.rawValue) {
            spelled.append(UInt8(name.utf8.count))
            spelled += name.utf8
        }
        let memory = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: spelled.count)
        _ = unsafe memory.initialize(from: spelled)
        let made = Self.make(setup)
        contexts = made.contexts
        protocols = UInt(bitPattern: memory.baseAddress)
        protocolBytes = spelled.count
        self.tickets = tickets
        holders = made.holders
        var names: [String: Int] = [:]
        var wildcards: [String: Int] = [:]
        for (place, holder) in made.holders.enumerated() {
            for name in holder.names {
                if name.hasPrefix("*.") {
                    let parent = String(name.dropFirst(2))
                    if wildcards[parent] == nil { wildcards[parent] = place }
                } else if names[name] == nil {
                    names[name] = place
                }
            }
        }
        self.names = names
        self.wildcards = wildcards
        // From here on `deinit` cleans up.
        if let fault = made.fault { throw fault }
        attachCallbacks()
    }

    deinit {
        for context in contexts { unsafe SSL_CTX_free(OpaquePointer(bitPattern: context)) }
        unsafe UnsafeMutablePointer<UInt8>(bitPattern: protocols)?.deallocate()
    }

    private struct Made {
        var contexts: [UInt] = []
        var holders: [TLSHolder] = []
        var fault: TLSFault?
    }

    /// As many as could be made, and why not more.
    private static func make(_ setup: TLSServerSetup) -> Made {
        var made = Made()
        do throws(TLSFault) {
            for identity in setup.identities {
                guard let context = unsafe SSL_CTX_new(TLS_server_method()) else {
                    throw .library("no memory")
                }
                made.contexts.append(UInt(bitPattern: context))
                unsafe try configure(context, setup)
                made.holders.append(try unsafe TLSFiles.use(identity, in: context))
            }
        } catch {
            made.fault = error
        }
        return made
    }

    private static func configure(
        _ context: OpaquePointer, _ setup: TLSServerSetup
    ) throws(TLSFault) {
        try unsafe TLSDefaults.apply(to: context, isModernOnly: setup.isModernOnly)
        guard unsafe SSL_CTX_set_cipher_list(context, ciphers) == 1,
            unsafe penstock_tls_groups(context, groups) == 1
        else { throw .library("ciphers") }
        unsafe penstock_tls_no_session_cache(context)
        unsafe SSL_CTX_set_timeout(context, Int(TicketKeys.rotation.seconds))
        unsafe SSL_CTX_set_num_tickets(context, 1)
        var trusted: [UInt8] = []
        switch setup.clients {
        case .none: unsafe SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
        case .optional(let authority):
            trusted = try unsafe TLSFiles.trust(authority, in: context)
            try unsafe TLSFiles.ask(for: authority, in: context)
            unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        case .required(let authority):
            trusted = try unsafe TLSFiles.trust(authority, in: context)
            try unsafe TLSFiles.ask(for: authority, in: context)
            unsafe SSL_CTX_set_verify(
                context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        }
        // A ticket holds who a client was found to be: it is good only where the same are trusted.
        var identity = [UInt8](repeating: 0, count: 32)
        _ = unsafe SHA256(trusted, trusted.count, &identity)
        guard
            unsafe SSL_CTX_set_session_id_context(context, identity, UInt32(identity.count)) == 1
        else { throw .library("session context") }
    }

    // MARK: what OpenSSL asks

    private func attachCallbacks() {
        let me = unsafe Unmanaged.passUnretained(self).toOpaque()
        for number in contexts {
            guard let context = unsafe OpaquePointer(bitPattern: number) else { continue }
            // Sessions hold this object, so it is there whenever OpenSSL asks.
            _ = unsafe SSL_CTX_set_ex_data(context, 0, me)
            unsafe penstock_tls_on_server_name(
                context,
                { session, _, me in
                    unsafe TLSServerContext.chooseCertificate(session, me)
                }, me)
            unsafe penstock_tls_on_ticket(context) { session, name, vector, cipher, seal, mode in
                unsafe TLSServerContext.prepareTicket(session, name, vector, cipher, seal, mode)
            }
            guard protocolBytes > 0 else { continue }
            unsafe SSL_CTX_set_alpn_select_cb(
                context,
                { _, out, outCount, offered, offeredCount, me in
                    unsafe TLSServerContext.chooseProtocol(
                        out, outCount, offered, offeredCount, me)
                }, me)
        }
    }

    private static func from(_ pointer: UnsafeMutableRawPointer?) -> TLSServerContext? {
        guard let pointer = unsafe pointer else { return nil }
        return unsafe Unmanaged<TLSServerContext>.fromOpaque(pointer).takeUnretainedValue()
    }

    private static func chooseCertificate(
        _ session: OpaquePointer?, _ me: UnsafeMutableRawPointer?
    ) -> Int32 {
        guard let context = unsafe from(me),
            let asked = unsafe SSL_get_servername(session, TLSEXT_NAMETYPE_host_name)
        else { return SSL_TLSEXT_ERR_OK }
        let place = context.place(of: unsafe String(cString: asked).lowercased())
        if let place, place > 0 {
            unsafe SSL_set_SSL_CTX(session, OpaquePointer(bitPattern: context.contexts[place]))
        }
        return SSL_TLSEXT_ERR_OK
    }

    /// The identity for a name in small letters: exact before wildcard, whose star is one label
    /// (RFC 9525 section 6.3).
    func place(of name: String) -> Int? {
        if let place = names[name] { return place }
        guard let dot = name.firstIndex(of: "."), dot != name.startIndex else { return nil }
        return wildcards[String(name[name.index(after: dot)...])]
    }

    private static func chooseProtocol(
        _ out: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
        _ outCount: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?,
        _ offeredCount: UInt32, _ me: UnsafeMutableRawPointer?
    ) -> Int32 {
        guard let context = unsafe from(me), let out = unsafe out else {
            return SSL_TLSEXT_ERR_NOACK
        }
        var chosen: UnsafeMutablePointer<UInt8>?
        let result = unsafe SSL_select_next_proto(
            &chosen, outCount, UnsafePointer(bitPattern: context.protocols),
            UInt32(context.protocolBytes), offered, offeredCount)
        guard result == OPENSSL_NPN_NEGOTIATED else { return SSL_TLSEXT_ERR_ALERT_FATAL }
        unsafe out.pointee = unsafe UnsafePointer(chosen)
        return SSL_TLSEXT_ERR_OK
    }

    private static func prepareTicket(
        _ session: OpaquePointer?, _ name: UnsafeMutablePointer<UInt8>?,
        _ vector: UnsafeMutablePointer<UInt8>?, _ cipher: OpaquePointer?,
        _ seal: OpaquePointer?, _ mode: Int32
    ) -> Int32 {
        let me = unsafe SSL_CTX_get_ex_data(SSL_get_SSL_CTX(session), 0)
        guard let context = unsafe from(me), let name = unsafe name, let vector = unsafe vector,
            let cipher = unsafe cipher, let seal = unsafe seal
        else { return -1 }
        return unsafe context.tickets.prepare(
            name: name, vector: vector, cipher: cipher, seal: seal, isSealing: mode == 1)
    }
}

/// What both sides of TLS want of OpenSSL.
enum TLSDefaults {
    static func apply(to context: OpaquePointer, isModernOnly: Bool) throws(TLSFault) {
        guard
            unsafe penstock_tls_at_least(context, isModernOnly ? TLS1_3_VERSION : TLS1_2_VERSION)
                == 1
        else { throw .library("OpenSSL does not know the TLS version") }
        // Idle connections hold no buffers; a record that the kernel does not take whole is offered
        // again from wherever it lies then.
        _ = unsafe penstock_tls_modes(
            context,
            Int(SSL_MODE_RELEASE_BUFFERS) | Int(SSL_MODE_ENABLE_PARTIAL_WRITE)
                | Int(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER))
        // One receive brings heads and bodies of as many records as there are.
        unsafe penstock_tls_read_ahead(context)
        // Renegotiation and compression have been nothing but attacks (RFC 9325 sections 3.3, 3.5).
        _ = unsafe SSL_CTX_set_options(
            context, UInt64(penstock_tls_no_renegotiation | penstock_tls_no_compression))
    }
}
