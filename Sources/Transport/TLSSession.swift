// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import EventLoop
import Units

/// One TLS session over a socket that its channel owns.
@safe
final class TLSSession {
    /// A peer may send so many bytes in a row that bring nothing: a record that is not whole yet
    /// has at most 16 KiB, and a key is changed seldom.
    private static let silenceLimit = 64 << 10
    /// All of a handshake, with certificates of a hundred kilobytes.
    private static let handshakeLimit = 160 << 10

    private let session: OpaquePointer
    private let wire: UnsafeMutablePointer<TLSWire>
    /// What OpenSSL's callbacks look at.
    private let context: AnyObject
    private let isServer: Bool
    private var isEstablished = false
    private var isHeld = false
    /// What the next read says after bytes that were read before it.
    private var ending: Transfer?

    /// Something can be read without the kernel.
    var hasBuffered: Bool { isHeld }

    init(accepting context: TLSServerContext, _ descriptor: Int32) throws(TLSFault) {
        guard let made = unsafe SSL_new(context.context) else { throw .library("no memory") }
        unsafe session = unsafe made
        unsafe wire = unsafe TLSSession.attach(made, descriptor)
        self.context = context
        isServer = true
        unsafe SSL_set_accept_state(session)
    }

    init(
        connecting context: TLSClientContext, to name: String, _ descriptor: Int32
    ) throws(TLSFault) {
        guard let made = unsafe SSL_new(context.context) else { throw .library("no memory") }
        unsafe session = unsafe made
        unsafe wire = unsafe TLSSession.attach(made, descriptor)
        self.context = context
        isServer = false
        unsafe SSL_set_connect_state(session)
        let isLiteral =
            unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), name) == 1
        if isLiteral { return }
        ERR_clear_error()
        guard unsafe SSL_set1_host(session, name) == 1,
            unsafe penstock_tls_server_name(session, name) == 1
        else { throw .library("'\(name)' is no name") }
    }

    deinit {
        unsafe SSL_free(session)
        unsafe wire.deinitialize(count: 1)
        unsafe wire.deallocate()
    }

    /// A session without a BIO fails in its handshake: without memory nothing else could be done.
    private static func attach(
        _ session: OpaquePointer, _ descriptor: Int32
    ) -> UnsafeMutablePointer<TLSWire> {
        let wire = UnsafeMutablePointer<TLSWire>.allocate(capacity: 1)
        unsafe wire.initialize(to: TLSWire(descriptor))
        if let bio = unsafe TLSWire.attach(wire) { unsafe SSL_set_bio(session, bio, bio) }
        return unsafe wire
    }

    // MARK: the handshake

    func handshake() -> Handshake {
        if isEstablished { return .done }
        unsafe wire.pointee.mayReceive = true
        ERR_clear_error()
        let result = unsafe SSL_do_handshake(session)
        if result == 1 {
            isEstablished = true
            unsafe wire.pointee.silent = 0
            isHeld = unsafe SSL_has_pending(session) == 1
            return .done
        }
        switch unsafe SSL_get_error(session, result) {
        case SSL_ERROR_WANT_READ:
            let isEndless = unsafe wire.pointee.silent > Self.handshakeLimit
            return isEndless ? .failed(.broken("a handshake without end")) : .wantsRead
        case SSL_ERROR_WANT_WRITE: return .wantsWrite
        default: return .failed(handshakeFault())
        }
    }

    private func handshakeFault() -> TLSFault {
        let code = ERR_peek_error()
        if ERR_GET_LIB(code) == ERR_LIB_SSL, ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST {
            ERR_clear_error()
            return .plainHTTP
        }
        let outcome = unsafe SSL_get_verify_result(session)
        if outcome != Int(X509_V_OK), let text = unsafe X509_verify_cert_error_string(outcome) {
            ERR_clear_error()
            return .certificate(unsafe String(cString: text))
        }
        if let fault = unsafe wire.pointee.fault {
            ERR_clear_error()
            return .ended("\(fault)")
        }
        if unsafe wire.pointee.hasEnded {
            ERR_clear_error()
            return .ended("the peer closed during the handshake")
        }
        return .broken(TLSFault.libraryReason() ?? "no TLS handshake")
    }

    var applicationProtocol: ApplicationProtocol? {
        var text: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        unsafe SSL_get0_alpn_selected(session, &text, &count)
        guard let text = unsafe text, count > 0 else { return nil }
        let name = unsafe UnsafeBufferPointer(start: text, count: Int(count))
        return ApplicationProtocol(rawValue: unsafe String(decoding: name, as: UTF8.self))
    }

    func peerNames() -> [String] {
        guard unsafe SSL_get_verify_result(session) == Int(X509_V_OK),
            let certificate = unsafe SSL_get1_peer_certificate(session)
        else { return [] }
        return unsafe Certificate(taking: certificate).names
    }

    // MARK: bytes

    /// As many records as are here and fit.
    func receive(
        _ into: UnsafeMutableRawBufferPointer, from source: Channel.Source
    ) -> Transfer {
        unsafe wire.pointee.mayReceive = source == .kernel
        invariant(into.count > 0, "a receive has room")
        if let ending {
            isHeld = false
            return ending
        }
        var total = 0
        while let base = into.baseAddress, total < into.count {
            ERR_clear_error()
            let result = unsafe SSL_read(
                session, base + total, Int32(clamping: into.count - total))
            guard result > 0 else {
                isHeld = false
                return stop(result, after: total)
            }
            total += Int(result)
            unsafe wire.pointee.silent = 0
            isHeld = unsafe SSL_has_pending(session) == 1
            if !isHeld { break }
        }
        return .bytes(total)
    }

    /// Nothing more is here; an end or a failure that comes behind bytes is told with the next
    /// read.
    private func stop(_ result: Int32, after total: Int) -> Transfer {
        let outcome = self.outcome(of: result)
        if outcome != .wouldBlock {
            ending = outcome
            isHeld = total > 0
        }
        return total > 0 ? .bytes(total) : outcome
    }

    private func outcome(of result: Int32) -> Transfer {
        switch unsafe SSL_get_error(session, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE:
            let isEndless = unsafe wire.pointee.silent > Self.silenceLimit
            return isEndless ? .failed(.reset) : .wouldBlock
        case SSL_ERROR_ZERO_RETURN: return .closed
        default: break
        }
        ERR_clear_error()
        if let fault = unsafe wire.pointee.fault { return .failed(fault) }
        // Clients leave without a word, and their requests are framed. Of an engine's answer the
        // connection's end may be all the framing that it has, and anybody can make one.
        return unsafe wire.pointee.hasEnded && isServer ? .closed : .failed(.reset)
    }

    func send(_ bytes: UnsafeRawBufferPointer) -> Transfer {
        var total = 0
        while let base = bytes.baseAddress, total < bytes.count {
            ERR_clear_error()
            let result = unsafe SSL_write(
                session, base + total, Int32(clamping: bytes.count - total))
            guard result > 0 else {
                let isWaiting: Bool =
                    switch unsafe SSL_get_error(session, result) {
                    case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: true
                    default: false
                    }
                if total > 0 { return .bytes(total) }
                if isWaiting { return .wouldBlock }
                ERR_clear_error()
                return .failed(unsafe wire.pointee.fault ?? .brokenPipe)
            }
            total += Int(result)
        }
        return .bytes(total)
    }

    func sayGoodbye() {
        guard isEstablished, ending == nil || ending == .closed else { return }
        ERR_clear_error()
        // What does not fit is left out: the peer takes too little to see it.
        _ = unsafe SSL_shutdown(session)
        ERR_clear_error()
    }
}

@available(*, unavailable)
extension TLSSession: Sendable {}
