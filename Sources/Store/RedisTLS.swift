// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import Policy
import Units

/// What TLS connections to Redis are made with: whom to trust, and who we are. One for each link.
///
/// Every call to OpenSSL for Redis stands in this file. The library sees memory only: sockets and
/// deadlines stay ours.
@safe
final class RedisTLSContext {
    fileprivate let context: OpaquePointer

    /// Reads the files that the policy names: blocks, so it is made before its thread serves.
    init(_ policy: RedisTLSPolicy) throws(StoreFault) {
        guard let made = unsafe SSL_CTX_new(TLS_client_method()) else {
            throw .tls("OpenSSL has no memory")
        }
        unsafe context = unsafe made
        unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        guard unsafe penstock_tls_at_least_1_2(context) == 1 else {
            throw .tls("OpenSSL does not know TLS 1.2")
        }
        if let authority = policy.authority {
            guard unsafe SSL_CTX_load_verify_locations(context, authority, nil) == 1 else {
                throw Self.fault("\(authority) has no certificates")
            }
        } else {
            guard unsafe SSL_CTX_set_default_verify_paths(context) == 1 else {
                throw Self.fault("this system has no certificates")
            }
        }
        guard let certificate = policy.certificate, let key = policy.key else { return }
        guard unsafe SSL_CTX_use_certificate_chain_file(context, certificate) == 1 else {
            throw Self.fault("\(certificate) has no certificate")
        }
        guard unsafe SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1,
            unsafe SSL_CTX_check_private_key(context) == 1
        else { throw Self.fault("\(key) has no key of \(certificate)") }
    }

    deinit { unsafe SSL_CTX_free(context) }

    /// What went wrong, with OpenSSL's reason where it has one.
    fileprivate static func fault(_ what: String) -> StoreFault {
        let code = ERR_peek_last_error()
        ERR_clear_error()
        guard code != 0, let reason = unsafe ERR_reason_error_string(code) else {
            return .tls(what)
        }
        return .tls("\(what): \(unsafe String(cString: reason))")
    }
}

@available(*, unavailable)
extension RedisTLSContext: Sendable {}

/// One TLS session of a client: bytes of the wire in and out, bytes of the talk in and out.
@safe
final class RedisTLSSession {
    private let session: OpaquePointer
    private let fromWire: OpaquePointer
    private let toWire: OpaquePointer
    private(set) var isEstablished = false

    /// `host`: whose certificate it has to be, a name or an IP literal, unless the policy says so.
    /// Without a context, for which files may have been wrong, it is made now.
    convenience init(
        _ context: RedisTLSContext?, _ policy: RedisTLSPolicy, host: String
    ) throws(StoreFault) {
        let host = policy.serverName ?? host
        if let context {
            try self.init(context, host: host)
        } else {
            try self.init(RedisTLSContext(policy), host: host)
        }
    }

    private init(_ context: RedisTLSContext, host: String) throws(StoreFault) {
        guard let made = unsafe SSL_new(context.context),
            let input = unsafe BIO_new(BIO_s_mem()), let output = unsafe BIO_new(BIO_s_mem())
        else { throw .tls("OpenSSL has no memory") }
        unsafe session = unsafe made
        unsafe fromWire = unsafe input
        unsafe toWire = unsafe output
        // The session owns both from here on.
        unsafe SSL_set_bio(session, fromWire, toWire)
        unsafe SSL_set_connect_state(session)
        let isLiteral =
            unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host) == 1
        if !isLiteral {
            ERR_clear_error()
            guard unsafe SSL_set1_host(session, host) == 1,
                unsafe penstock_tls_server_name(session, host) == 1
            else { throw RedisTLSContext.fault("'\(host)' is no name") }
        }
    }

    deinit { unsafe SSL_free(session) }

    /// Takes what came over the wire.
    func feed(_ bytes: UnsafeRawBufferPointer) throws(StoreFault) {
        let taken = unsafe BIO_write(fromWire, bytes.baseAddress, Int32(clamping: bytes.count))
        guard Int(taken) == bytes.count else { throw .tls("OpenSSL has no memory") }
    }

    /// Goes on with the handshake as far as what came goes.
    func shake() throws(StoreFault) {
        guard !isEstablished else { return }
        ERR_clear_error()
        let result = unsafe SSL_do_handshake(session)
        if result == 1 {
            isEstablished = true
            return
        }
        try check(result)
    }

    /// Reads of the talk into a buffer; 0 where nothing is there.
    func read(_ into: UnsafeMutableRawBufferPointer) throws(StoreFault) -> Int {
        ERR_clear_error()
        let result = unsafe SSL_read(session, into.baseAddress, Int32(clamping: into.count))
        if result > 0 { return Int(result) }
        try check(result)
        return 0
    }

    /// Says all of `bytes`; what it is on the wire, `takeOutput` gives.
    func write(_ bytes: UnsafeRawBufferPointer) throws(StoreFault) {
        guard bytes.count > 0 else { return }
        ERR_clear_error()
        // Memory takes everything.
        let result = unsafe SSL_write(session, bytes.baseAddress, Int32(clamping: bytes.count))
        guard Int(result) == bytes.count else {
            try check(result)
            throw .tls("a piece was written")
        }
    }

    /// Adds what is to be sent over the wire.
    func takeOutput(into buffer: inout ByteBuffer) {
        while true {
            let room = unsafe buffer.room(16_384)
            let count = unsafe BIO_read(toWire, room.baseAddress, 16_384)
            if count <= 0 { return }
            buffer.wrote(Int(count))
        }
    }

    private func check(_ result: Int32) throws(StoreFault) {
        switch unsafe SSL_get_error(session, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return
        case SSL_ERROR_ZERO_RETURN: throw .closedByServer
        default:
            let outcome = unsafe SSL_get_verify_result(session)
            if outcome != Int(X509_V_OK),
                let text = unsafe X509_verify_cert_error_string(outcome)
            {
                ERR_clear_error()
                throw .tls("the server's certificate: \(unsafe String(cString: text))")
            }
            throw RedisTLSContext.fault("TLS")
        }
    }
}

@available(*, unavailable)
extension RedisTLSSession: Sendable {}
