// SPDX-License-Identifier: Apache-2.0

extension BudgetScript {
    /// `Budgets.grant` and `Budgets.report`. Of the arguments the eighth says, for a grant, how
    /// many requests are wanted and which part of what is left it may have at most; for a report
    /// how many requests it holds, its number, `last` or `more`, and what was used: input, output,
    /// cost and requests.
    static let grants = #"""
        if operation == 'grant' then
            if reservation then return 'none' end
            local requests, parts = string.match(ARGV[8], '^(%S+) (%S+)$')
            requests, parts = tonumber(requests), tonumber(parts)
            local wanted, share = amounts(input, output, cost, requests), 1000000
            for k = 1, count do
                local room, asked = capacity[k] - used[k], wanted[quantity[k]]
                if set[k] or room <= capacity[k] / 8 then return 'none' end
                if asked > 0 then
                    share = min(share, floor(room / parts / asked * 1000000))
                end
            end
            local function part(wanted) return floor(wanted * share / 1000000) end
            input, output, cost, requests = part(input), part(output), part(cost), part(requests)
            if requests < 2 then return 'none' end
            local given = amounts(input, output, cost, requests)
            local words = {text(moment + lease), text(input), text(output), text(cost)}
            for k = 1, count do
                words[#words + 1] = code[k]
                words[#words + 1] = charge(k, given[quantity[k]])
            end
            words[#words + 1] = '@n ' .. text(requests) .. ' @q 0 @i 0 @o 0 @c 0 @r 0'
            hold(words)
            save()
            return answer('granted', 0, share)
        end
        if operation == 'report' then
            local places = reservation and reservation[1] ~= 'settled' and places_of(reservation)
            if not places or not places['@q'] then
                if not reservation then redis.call('SET', KEYS[1], 'settled', 'PX', 60000) end
                return 'unknown'
            end
            -- How many it holds, the report's number, whether it is the last; what was used.
            local report = words_of(ARGV[8])
            if tonumber(report[2]) <= tonumber(reservation[places['@q']]) then return 'done' end
            local is_last = report[3] == 'last'
            local function known(name) return tonumber(reservation[places[name]]) end
            local before = amounts(known('@i'), known('@o'), known('@c'), known('@r'))
            local reserved = reserved_by(reservation, places)
            local held = amounts(input, output, cost, tonumber(report[1]))
            local spent = amounts(tonumber(report[4]), tonumber(report[5]), tonumber(report[6]),
                tonumber(report[7]))
            for a = 1, accounts do
                local is_held = redis.call('ZSCORE', open[a], id)
                for k = 1, count do
                    local place, q = places[code[k]], quantity[k]
                    if owner[k] == a and place then
                        local actual, mark = spent[q] + held[q], tonumber(reservation[place])
                        if is_held then
                            settle(k, mark, before[q] + reserved[q], actual)
                        elseif is_last then
                            settle(k, mark, before[q], actual)
                        else
                            reservation[place] = charge(k, max(0, actual - before[q]))
                        end
                    end
                end
                if is_last then redis.call('ZREM', open[a], id) end
            end
            if is_last then
                redis.call('DEL', KEYS[1])
            else
                reservation[1], reservation[2] = text(moment + lease), ARGV[5]
                reservation[3], reservation[4] = ARGV[6], ARGV[7]
                reservation[places['@n']], reservation[places['@q']] = report[1], report[2]
                reservation[places['@i']], reservation[places['@o']] = report[4], report[5]
                reservation[places['@c']], reservation[places['@r']] = report[6], report[7]
                hold(reservation)
            end
            save()
            return 'done'
        end
        """#
}
