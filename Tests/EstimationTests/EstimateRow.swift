// SPDX-License-Identifier: Apache-2.0

/// A text and what the reference estimates for it, in 1/12288 token.
struct EstimateRow: Sendable {
    var text: String
    var units: Int

    init(_ units: Int, _ text: String) {
        self.text = text
        self.units = units
    }

    /// Computed by an independent implementation over the same coefficients (Llama 3): the sum of
    /// the transitions between byte classes, at least a twelfth of the bytes, at most all of them.
    /// The texts were written for this file.
    static let all: [EstimateRow] = natural + formal

    private static let natural: [EstimateRow] = [
        EstimateRow(124_959, "Every request is measured before it may enter the queue."),
        EstimateRow(
            244_071,
            "The keeper opens the gate only as far as the turbine can swallow, and not a hand"
                + " wider."),
        EstimateRow(
            326_469,
            "Jede Anfrage wird gemessen, bevor sie in die Warteschlange darf; übergroße weist"
                + " der Wärter ab."),
        EstimateRow(
            299_859,
            "Chaque requête est mesurée avant d'entrer dans la file, et le gardien compte à v"
                + "oix haute."),
        EstimateRow(
            252_546,
            "Cada petición se mide antes de entrar en la cola, y mañana será otro día."),
        EstimateRow(
            294_207,
            "Ogni richiesta viene misurata prima di entrare; così la turbina non si ferma mai"
                + "."),
        EstimateRow(
            246_975,
            "Cada pedido é medido antes de entrar na fila, e ninguém espera em vão."),
        EstimateRow(234_525, "Elke aanvraag wordt gemeten voordat zij de rij in mag."),
        EstimateRow(204_546, "Varje förfrågan mäts innan den släpps in i kön på ön."),
        EstimateRow(166_050, "Hver forespørsel måles før den får stå i køen."),
        EstimateRow(191_331, "Jokainen pyyntö mitataan ennen kuin se pääsee jonoon."),
        EstimateRow(226_500, "Każde żądanie jest mierzone, zanim trafi do kolejki."),
        EstimateRow(199_653, "Každý požadavek se změří, než smí do fronty."),
        EstimateRow(189_006, "Minden kérést megmérünk, mielőtt beléphet a sorba."),
        EstimateRow(206_256, "Fiecare cerere este măsurată înainte să intre în coadă."),
        EstimateRow(277_221, "Her istek kuyruğa girmeden önce ölçülür, çünkü türbin sınırlıdır."),
        EstimateRow(179_970, "Mỗi yêu cầu đều được đo trước khi vào hàng đợi."),
        EstimateRow(155_844, "Setiap permintaan diukur sebelum boleh masuk antrean."),
        EstimateRow(182_304, "Каждый запрос измеряется, прежде чем попасть в очередь."),
        EstimateRow(205_113, "Кожен запит вимірюється, перш ніж потрапити до черги."),
        EstimateRow(184_140, "Всяка заявка се измерва, преди да влезе в опашката."),
        EstimateRow(176_832, "Κάθε αίτημα μετριέται πριν μπει στην ουρά."),
        EstimateRow(227_685, "כל בקשה נמדדת לפני שהיא נכנסת לתור."),
        EstimateRow(112_482, "كل طلب يقاس قبل أن يدخل الطابور."),
        EstimateRow(157_647, "هر درخواست پیش از ورود به صف اندازه\u{200C}گیری می\u{200C}شود."),
        EstimateRow(285_783, "हर अनुरोध कतार में जाने से पहले मापा जाता है।"),
        EstimateRow(264_579, "প্রতিটি অনুরোধ সারিতে ঢোকার আগে মাপা হয়।"),
        EstimateRow(1_036_647, "ஒவ்வொரு கோரிக்கையும் வரிசையில் நுழையும் முன் அளக்கப்படுகிறது."),
        EstimateRow(275_304, "ทุกคำขอจะถูกวัดก่อนเข้าคิว"),
        EstimateRow(178_569, "每个请求在进入队列之前都要先称重。"),
        EstimateRow(200_274, "每個請求在進入佇列之前都要先量過。"),
        EstimateRow(164_157, "すべての要求は、列に入る前に計られます。"),
        EstimateRow(181_905, "모든 요청은 대기열에 들어가기 전에 측정됩니다."),
        EstimateRow(317_688, "ყოველი მოთხოვნა იზომება რიგში შესვლამდე."),
        EstimateRow(365_994, "Յուրաքանչյուր հարցում չափվում է մինչև հերթ մտնելը։"),
    ]

    private static let formal: [EstimateRow] = [
        EstimateRow(176_001, "def admit(request):\n    return request.tokens <= budget.left\n"),
        EstimateRow(275_541, "func settle(_ held: Tokens) -> Bool { held.count > 0 && !closed }\n"),
        EstimateRow(286_941, "if (fd < 0) { perror(\"open\"); return -1; } /* never reached */\n"),
        EstimateRow(
            345_903,
            "SELECT tenant, SUM(tokens) FROM usage WHERE day = '2026-11-24' GROUP BY tenant O"
                + "RDER BY 2 DESC;"),
        EstimateRow(
            275_154,
            "const total = items.reduce((sum, { price, n }) => sum + price * n, 0);"),
        EstimateRow(
            302_304,
            "<html><body class=\"dark\"><p id='x'>Water &amp; gate</p></body></html>"),
        EstimateRow(
            275_142,
            "{\"tenant\":\"acme\",\"limits\":{\"tokens_per_minute\":200000,\"open\":true,\"no"
                + "te\":null}}"),
        EstimateRow(378_861, "tenant,tokens,cost\nacme,120034,0.40\nbolt,99,0.01\nacme,7,0.00\n"),
        EstimateRow(
            265_506,
            "[package]\nname = \"gate\"\nversion = \"0.1.0\"\n\n[features]\ndefault = []\n"),
        EstimateRow(
            481_245,
            "2026-11-24T15:39:03.250Z INFO worker=3 admitted id=7f3a9c tokens=1204 wait=18ms"),
        EstimateRow(
            386_994,
            "curl -sS -H 'Content-Type: application/json' http://127.0.0.1:8080/v1/models | h"
                + "ead -n 5"),
        EstimateRow(
            453_024,
            "#include <stdint.h>\nstatic inline uint64_t rotl(uint64_t x, int k) { return (x "
                + "<< k) | (x >> (64 - k)); }\n"),
        EstimateRow(
            249_255,
            "# Gate\n\n- opens **slowly**\n- closes _at once_\n\n```sh\nmake run\n```\n"),
        EstimateRow(234_228, "\\frac{n!}{k!(n-k)!} = \\binom{n}{k} \\quad \\forall k \\le n"),
        EstimateRow(
            557_184,
            "SGVsbG8gZnJvbSB0aGUga2VlcGVyIG9mIHRoZSBnYXRlLCBub3QgYSBoYW5kIHdpZGVyIQ=="),
        EstimateRow(
            509_244,
            "550e8400-e29b-41d4-a716-446655440000 de305d54-75b4-431b-adb2-eb6b9e546014"),
        EstimateRow(365_355, "3.14159265358979 2.71828182845905 1.41421356237310 0.57721566490153"),
        EstimateRow(404_769, "192.168.0.1 10.0.0.255 ::1 fe80::1ff:fe23:4567:890a"),
        EstimateRow(222_621, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        EstimateRow(197_469, "0000000000000000000000000000000000000000000000000000"),
        EstimateRow(81_762, "!!!???...---***===///\\\\\\___|||~~~"),
        EstimateRow(44_994, "    \t\t\n\n\n        \r\n   "),
        EstimateRow(104_979, "GATE OPEN -- GATE CLOSED -- GATE OPEN"),
        EstimateRow(
            208_905,
            "camelCaseNames and snake_case_names and kebab-case-names and SCREAMING_CASE"),
        EstimateRow(310_662, "🌊🌊🚪➡\u{FE0F}⚙\u{FE0F}💧 the gate is open 🎉"),
        EstimateRow(4_638, "a"),
        EstimateRow(0, ""),
        EstimateRow(1_024, " "),
        EstimateRow(7_551, "\n"),
        EstimateRow(14_541, "é"),
        EstimateRow(13_293, "水"),
        EstimateRow(12_288, "0"),
        EstimateRow(12_972, "\u{0}\u{1}\u{2}"),
        EstimateRow(26_619, "\u{A0}\u{200B}\u{2028}"),
        EstimateRow(278_181, "Zażółć gęślą jaźń; 東京 and Москва and القاهرة in one line."),
        EstimateRow(270_837, "¿Qué? ¡Sí! «Oui» „Ja“ ‘no’ “yes” — … €5 £6 ¥7"),
        EstimateRow(250_071, "x = y + z * (a - b) / c % d ^ e & f | g ~ h;"),
        EstimateRow(172_797, "https://example.org/a/b/c?x=1&y=2#z"),
        EstimateRow(126_264, "the the the the the the the the the the the the the the the the"),
        EstimateRow(
            1_260_756,
            "Lower the gate by two, wait, count to ten, and raise it by one. Lower the gate b"
                + "y two, wait, count to ten, and raise it by one. Lower the gate by two, wait, cou"
                + "nt to ten, and raise it by one. Lower the gate by two, wait, count to ten, and r"
                + "aise it by one. Lower the gate by two, wait, count to ten, and raise it by one. "
                + "Lower the gate by two, wait, count to ten, and raise it by one. "),
        EstimateRow(
            945_969,
            "量水、开闸、放流、关闸。量水、开闸、放流、关闸。量水、开闸、放流、关闸。量水、开闸、放流、关闸。量水、开闸、放流、关闸。量水、开闸、放流、关闸。量水、开闸、放流"
                + "、关闸。量水、开闸、放流、关闸。"),
        EstimateRow(
            860_076,
            "let n = 42; let n = 42; let n = 42; let n = 42; let n = 42; let n = 42; let n = "
                + "42; let n = 42; let n = 42; let n = 42; let n = 42; let n = 42; "),
        EstimateRow(427_800, "ખુલ્લો દરવાજો પાણી છોડે છે."),
        EstimateRow(321_735, "ប្រសិនបើទឹកឡើង យើងបើកទ្វារ។"),
        EstimateRow(250_980, "ຖ້ານ້ຳຂຶ້ນ ພວກເຮົາເປີດປະຕູ."),
    ]
}
