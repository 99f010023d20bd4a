// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Policy
import Transport
import Units
import Wire

/// What is different where a browser asks: it gets a page, and what other sites make it send is not
/// taken for the operator's will.
extension Control {
    /// `text/html` is named: by browsers that go somewhere, and not by curl or scripts.
    func wantsPage(_ server: HTTP1ServerConnection) -> Bool {
        guard let accept = unsafe server.value(.accept) else { return false }
        return unsafe String(decoding: accept, as: UTF8.self).lowercased().contains("text/html")
    }

    /// Shown to everybody who reaches the door: it knows nothing, and asks for the token itself.
    func showPage(_ server: HTTP1ServerConnection) {
        let page = browserPage ?? BrowserPage(digest: digest)
        browserPage = page
        text.removeAll()
        text.append(page.text)
        beginFields("text/html; charset=utf-8", contentPolicy: page.contentPolicy)
        fields.append("Vary: Accept\r\nCross-Origin-Opener-Policy: same-origin\r\n")
        finish(server, 200)
    }

    /// Why a request is another site's, sent by an operator's browser; nil where it is not.
    ///
    /// Two ways in: a page elsewhere posts here (a token would stop it, where there is one), or a
    /// name that leads elsewhere is made to lead here, so that its page passes for ours. The first
    /// is told by `Sec-Fetch-Site` (Fetch Metadata), or by `Origin` where a browser is too old or
    /// the connection too plain for that; the second by a name that this machine has not.
    func foreignness(of server: HTTP1ServerConnection, _ route: AdminRoute) -> String? {
        let host = unsafe server.value(.host).map { unsafe String(decoding: $0, as: UTF8.self) }
        if adminToken == nil, listensOnLoopback, !Self.isLocal(host ?? "") {
            return "without an admin token this is for names and addresses of this machine alone"
        }
        let isRead = server.method == .get || server.method == .head
        guard !isRead || route == .events else { return nil }
        var site: String?
        var origin: String?
        unsafe server.forEachField { _, name, value in
            switch unsafe String(decoding: name, as: UTF8.self).lowercased() {
            case "sec-fetch-site": site = unsafe String(decoding: value, as: UTF8.self)
            case "origin": origin = unsafe String(decoding: value, as: UTF8.self)
            default: break
            }
        }
        let isOwn =
            site.map { $0 == "same-origin" || $0 == "none" }
            ?? origin.map { Self.authority($0) == host?.lowercased() } ?? true
        return isOwn ? nil : "other sites' pages can do nothing here"
    }

    private var listensOnLoopback: Bool {
        guard let address = SocketAddress(setup.fixed.admin.address) else { return false }
        return address.isLoopback && !address.host.hasPrefix("unix:")
    }

    /// `localhost` and names under it (RFC 6761 section 6.3), and addresses: those nobody can make
    /// lead elsewhere.
    static func isLocal(_ host: String) -> Bool {
        if host.isEmpty || host.hasPrefix("[") { return true }
        let name = String(host.prefix { $0 != ":" }).lowercased()
        return name == "localhost" || name.hasSuffix(".localhost")
            || SocketAddress(ip: name, port: 0) != nil
    }

    /// What follows the scheme of an origin.
    private static func authority(_ origin: String) -> String? {
        guard let mark = origin.firstRange(of: "://") else { return nil }
        return origin[mark.upperBound...].lowercased()
    }
}
