// SPDX-License-Identifier: Apache-2.0

/// The script that decides in Redis: one call is one atomic decision over all limits of a request,
/// by Redis's own clock.
///
/// It is `Budget` once more, operation by operation, on the same doubles; a test holds the two
/// together. Change neither alone. It runs in Redis 5 and later and uses the commands TIME, GET,
/// SET, DEL, HMGET, HSET, HDEL, HGETALL, PEXPIRE, ZADD, ZREM, ZSCORE, ZCOUNT, ZRANGEBYSCORE and
/// ZREMRANGEBYSCORE; the connection uses EVALSHA and SCRIPT LOAD, and AUTH and SELECT where they
/// are configured.
///
/// Keys, all with the same hash tag for all limits of a request, all expiring. The root is
/// `organisation/NAME` where the tenant belongs to one, and otherwise the tenant's name; accounts
/// are `organisation`, `team/NAME`, `tenant/NAME`, `tenant/NAME/model/NAME` and
/// `tenant/NAME/key/HASH`.
/// - `{prefix:root}:used:<account>`, a hash: what is used. A field for each limit and one for the
///   time, 60 bytes each; kept until all of it has drained and its windows are over.
/// - `{prefix:root}:open:<account>`, a sorted set: the reservations that hold something of it, by
///   the ends of their leases, under 250 bytes each; kept for a lease and a day.
/// - `{prefix:root}:hold:<reservation>`, a string: one open reservation, or a grant, 150 bytes and
///   25 for each limit. Deleted at settlement; that of a dead gateway is kept for a lease and a
///   day. Those whose leases have ended are found by the names in the sets, and are on the same
///   node.
///
/// And one for all, which does not expire: `{prefix:}overrides`, a hash of what operators have set,
/// at most 48 KiB.
enum BudgetScript {
    /// Without indentation and comments: a server that wants a password first takes no more than
    /// 16 KB from whoever has not told it, and says something else.
    static let text = source.split(separator: "\n")
        .map { $0.drop { $0 == " " } }
        .filter { !$0.hasPrefix("--") }
        .joined(separator: "\n")

    private static let source = #"""
        -- KEYS: hold; the accounts; of each account its open reservations.
        -- ARGV: operation; now, empty but in tests; lease, kept; input, output, cost; service time
        -- (reserve), used or nothing (settle), see there (grant, report); how many accounts; of
        -- each limit six: account, code, quantity, window, amount, capacity. Times in
        -- microseconds, cost in millionths. While the slot is on its way here there is one key, and
        -- the names of the accounts are the last arguments: no other key is left where it was.
        local DAY, LONGEST, TOLERANCE, MOST_LAPSED = 86400000000, 1e15, 60000000, 16
        local operation = ARGV[1]
        if operation == 'probe' then
            -- Can this server decide at all? A replica, or one without memory, says no.
            redis.call('SET', KEYS[1], 'settled', 'PX', 60000)
            return 'done'
        end
        if operation == 'overrides' then
            -- KEYS: the overrides. ARGV: operation; now, empty but in tests; bytes of all together;
            -- tenant, words and life of a change, empty without one.
            local now = tonumber(ARGV[2])
            if not now then
                local time = redis.call('TIME')
                now = tonumber(time[1]) * 1000000 + tonumber(time[2])
            end
            local lines, size = {}, #ARGV[4] + #ARGV[5] + 24
            local all = redis.call('HGETALL', KEYS[1])
            for i = 1, #all, 2 do
                local expires = tonumber(string.match(all[i + 1], '^%d+')) or 1
                if expires > 0 and expires <= now then
                    redis.call('HDEL', KEYS[1], all[i])
                elseif all[i] ~= ARGV[4] then
                    lines[#lines + 1] = all[i] .. ' ' .. all[i + 1]
                    size = size + #lines[#lines] + 1
                elseif ARGV[5] == '' then
                    redis.call('HDEL', KEYS[1], all[i])
                end
            end
            if ARGV[5] ~= '' then
                if size > tonumber(ARGV[3]) then return 'full' end
                local life = tonumber(ARGV[6])
                local value = string.format('%.0f ', life > 0 and now + life or 0) .. ARGV[5]
                redis.call('HSET', KEYS[1], ARGV[4], value)
                lines[#lines + 1] = ARGV[4] .. ' ' .. value
            end
            return table.concat(lines, '\n')
        end
        local lease, kept = tonumber(ARGV[3]), tonumber(ARGV[4])
        local accounts = tonumber(ARGV[9])
        local arrives = accounts > 0 and #KEYS == 1
        local count = (#ARGV - 9 - (arrives and accounts or 0)) / 6
        local account, open = {}, {}
        for a = 1, accounts do
            if arrives then
                local root, name = string.sub(KEYS[1], 1, -38), ARGV[9 + 6 * count + a]
                account[a], open[a] = root .. 'used:' .. name, root .. 'open:' .. name
            else
                account[a], open[a] = KEYS[1 + a], KEYS[1 + accounts + a]
            end
        end

        local now = tonumber(ARGV[2])
        if not now then
            local time = redis.call('TIME')
            now = tonumber(time[1]) * 1000000 + tonumber(time[2])
        end

        local floor, ceil, min, max = math.floor, math.ceil, math.min, math.max
        local format = string.format
        -- As %.17g says it; whole numbers, which most are, are quicker so.
        local function text(number)
            if number > -1e15 and number < 1e15 and floor(number) == number then
                return format('%d', number)
            end
            return format('%.17g', number)
        end
        local function whole(number) return format('%.0f', number) end
        local function milliseconds(time) return whole(min(ceil(time / 1000), 4e12)) end

        -- The limits.
        local owner, code, quantity, period, calendar, amount, capacity, set =
            {}, {}, {}, {}, {}, {}, {}, {}
        local id = string.sub(KEYS[1], -32)
        for k = 1, count do
            local at = 9 + 6 * (k - 1)
            owner[k], code[k], quantity[k] = tonumber(ARGV[at + 1]), ARGV[at + 2],
                tonumber(ARGV[at + 3])
            amount[k], capacity[k] = tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
            local window = ARGV[at + 4]
            period[k] = tonumber(window)
            if window == 'open' then
                set[k] = true
            elseif not period[k] then
                calendar[k] = window
            end
        end
        local function amounts(input, output, cost, requests)
            return {input + output, input, output, requests or 1, cost, requests or 1}
        end

        -- Windows of the calendar: see CalendarWindow. A zone is written as the offset of the
        -- beginning, then pairs of a time and the offset from then on, in seconds.
        local SHORT = {s = 1000000, m = 60000000, h = 3600000000}
        local function month_of(day)
            local shifted = day + 719468
            local era = floor(shifted / 146097)
            local doe = shifted - era * 146097
            local yoe = floor((doe - floor(doe / 1460) + floor(doe / 36524)
                - floor(doe / 146096)) / 365)
            local doy = doe - (365 * yoe + floor(yoe / 4) - floor(yoe / 100))
            return (yoe + era * 400) * 12 + floor((5 * doy + 2) / 153) + 2
        end
        local function month_begin(month)
            local from_march = month - 2
            local year = floor(from_march / 12)
            local era = floor(year / 400)
            local yoe = year - era * 400
            local doy = floor((153 * (from_march - year * 12) + 2) / 5)
            local doe = yoe * 365 + floor(yoe / 4) - floor(yoe / 100) + doy
            return era * 146097 + doe - 719468
        end
        local function window_of(spec, time)
            local unit, zone = string.sub(spec, 1, 1), {}
            for number in string.gmatch(string.sub(spec, 2), '%S+') do
                zone[#zone + 1] = tonumber(number) * 1000000
            end
            local offset, from, to = zone[1], nil, nil
            for i = 2, #zone, 2 do
                if zone[i] > time then
                    to = zone[i]
                    break
                end
                offset, from = zone[i + 1], zone[i]
            end
            local length = SHORT[unit]
            if length then
                local start = floor((time + offset) / length) * length - offset
                return max(start, from or start), min(start + length, to or start + length)
            end
            local function begin(day)
                if unit == 'w' then return floor((day + 3) / 7) * 7 - 3 end
                if unit == 'M' then return month_begin(month_of(day)) end
                return day
            end
            local function following(day)
                if unit == 'w' then return day + 7 end
                if unit == 'M' then return month_begin(month_of(day) + 1) end
                return day + 1
            end
            local function reach(day)
                local found = day * DAY - zone[1]
                for i = 2, #zone, 2 do
                    if found < zone[i] then return found end
                    found = max(day * DAY - zone[i + 1], zone[i])
                end
                return found
            end
            local day = begin(floor((time + offset) / DAY))
            local next_day = following(day)
            local start, finish = reach(day), reach(next_day)
            if finish <= time then
                start = finish
                finish = reach(following(next_day))
            end
            return start, finish
        end

        -- The accounts as they are kept.
        local clock, base, set_back = {}, {}, {}
        local used, second, stored, finish = {}, {}, {}, {}
        local moment = now
        local k = 1
        for a = 1, accounts do
            local fields, first = {'clock'}, k
            while k <= count and owner[k] == a do
                if not set[k] then fields[#fields + 1] = code[k] end
                k = k + 1
            end
            local values = redis.call('HMGET', account[a], unpack(fields))
            local seen = tonumber(values[1]) or 0
            set_back[a] = now < seen - TOLERANCE
            base[a] = set_back[a] and now or seen
            clock[a] = max(now, base[a])
            if a == 1 or clock[a] > moment then moment = clock[a] end
            local at = 1
            for l = first, k - 1 do
                used[l], second[l] = 0, 0
                if not set[l] then
                    at = at + 1
                    if values[at] then
                        local u, s = string.match(values[at], '^(%S+) (%S+)$')
                        used[l], second[l] = tonumber(u) or 0, tonumber(s) or 0
                    end
                end
                stored[l] = used[l]
            end
        end

        -- The accounts at present.
        for k = 1, count do
            local a = owner[k]
            if period[k] then
                local elapsed = max(now - base[a], 0)
                local drained = min(used[k], elapsed * (amount[k] / period[k]))
                used[k] = used[k] - drained
                second[k] = second[k] + drained
            elseif calendar[k] then
                local start
                start, finish[k] = window_of(calendar[k], clock[a])
                if second[k] ~= start then
                    if not (set_back[a] and second[k] > start) then used[k] = 0 end
                    second[k] = start
                end
            end
        end

        local function words_of(value)
            if not value then return nil end
            local words = {}
            for word in string.gmatch(value, '%S+') do words[#words + 1] = word end
            return words
        end
        -- Takes a limit, and gives what has to be remembered for the settlement.
        local function charge(k, asked)
            used[k] = used[k] + asked
            return text(set[k] and 0 or calendar[k] and second[k] or used[k] + second[k])
        end
        -- Replaces what was reserved of a limit by what was used.
        local function settle(k, mark, reserved, actual)
            local more = actual - reserved
            if set[k] then
                -- It is counted.
            elseif calendar[k] then
                if mark == second[k] then used[k] = max(0, used[k] + more) end
            elseif more >= 0 then
                used[k] = used[k] + more
            else
                local undrained = max(0, mark - second[k])
                local refund = min(-more, min(used[k], undrained))
                used[k] = used[k] - refund
                second[k] = second[k] + refund
            end
        end
        local function places_of(words)
            local places = {}
            for i = 5, #words, 2 do places[words[i]] = i + 1 end
            return places
        end
        local function reserved_by(words, places)
            return amounts(tonumber(words[2]), tonumber(words[3]), tonumber(words[4]),
                tonumber(words[places['@n'] or 0]))
        end

        local function reset_of(k)
            if period[k] then
                return min(ceil(used[k] / (amount[k] / period[k])), LONGEST)
                    + (clock[owner[k]] - now)
            end
            if calendar[k] then return finish[k] - now end
            return 0
        end
        local function answer(word, place, wait)
            local parts = {word, place, text(wait), text(now)}
            for k = 1, count do
                parts[#parts + 1] = text(used[k])
                parts[#parts + 1] = text(reset_of(k))
            end
            return table.concat(parts, ' ')
        end
        local function save()
            local k = 1
            for a = 1, accounts do
                local written = {'clock', text(clock[a])}
                local life = lease + kept + TOLERANCE
                while k <= count and owner[k] == a do
                    if not set[k] then
                        written[#written + 1] = code[k]
                        written[#written + 1] = text(used[k]) .. ' ' .. text(second[k])
                        if period[k] then
                            life = max(life, used[k] / (amount[k] / period[k]))
                        else
                            life = max(life, finish[k] - now)
                        end
                    end
                    k = k + 1
                end
                redis.call('HSET', account[a], unpack(written))
                redis.call('PEXPIRE', account[a], milliseconds(life))
            end
        end
        -- What nobody settled and nobody renews counts as not used, until somebody says otherwise.
        -- What is open may be where the slot comes from, and cannot be judged from here.
        local has_lapsed = false
        for a = 1, arrives and 0 or accounts do
            local function ended()
                return redis.call('ZRANGEBYSCORE', open[a], '-inf', text(clock[a]), 'LIMIT', 0,
                    MOST_LAPSED)
            end
            local gone = ended()
            if #gone > 0 then
                redis.call('ZREMRANGEBYSCORE', open[a], '-inf', text(clock[a] - kept))
                gone = ended()
            end
            for i = 1, #gone do
                redis.call('ZREM', open[a], gone[i])
                local words = words_of(redis.call('GET', string.sub(KEYS[1], 1, -33) .. gone[i]))
                if words and words[1] ~= 'settled' then
                    has_lapsed = true
                    local places = places_of(words)
                    local reserved = reserved_by(words, places)
                    for k = 1, count do
                        local place = places[code[k]]
                        if owner[k] == a and place then
                            settle(k, tonumber(words[place]), reserved[quantity[k]], 0)
                        end
                    end
                end
            end
        end
        for k = 1, count do
            if set[k] then
                used[k] = redis.call('ZCOUNT', open[owner[k]], '(' .. text(clock[owner[k]]),
                    '+inf')
            end
        end
        if has_lapsed then
            save()
            for k = 1, count do stored[k] = used[k] end
            for a = 1, accounts do base[a] = clock[a] end
        end

        -- The open reservation as words: end of lease, input, output, cost, then of each limit its
        -- code and its mark. A grant has six pairs more: @n, for how many requests; @q, the number
        -- of its last report; @i, @o, @c and @r, what requests that have ended used.
        local function hold(words)
            redis.call('SET', KEYS[1], table.concat(words, ' '), 'PX',
                milliseconds(lease + kept + moment - now))
            for a = 1, accounts do
                redis.call('ZADD', open[a], words[1], id)
                redis.call('PEXPIRE', open[a],
                    milliseconds(lease + kept + TOLERANCE + moment - now))
            end
        end
        local function held()
            local words = words_of(redis.call('GET', KEYS[1]))
            if words and words[1] ~= 'settled' and tonumber(words[1]) + kept <= moment then
                return nil
            end
            return words
        end

        if operation == 'usage' then return answer('usage', 0, 0) end

        local reservation = held()
        if operation == 'renew' then
            if not reservation or reservation[1] == 'settled' then return 'unknown' end
            -- What had lapsed is charged again.
            local places = places_of(reservation)
            local reserved = reserved_by(reservation, places)
            local is_charged_again = false
            for a = 1, accounts do
                local is_held = redis.call('ZSCORE', open[a], id)
                for k = 1, count do
                    local place = places[code[k]]
                    if owner[k] == a and place and not is_held then
                        reservation[place] = charge(k, reserved[quantity[k]])
                        is_charged_again = true
                    end
                end
            end
            reservation[1] = text(moment + lease)
            hold(reservation)
            if is_charged_again then save() end
            return 'done'
        end

        local input, output, cost = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
        if operation == 'settle' then
            if not reservation then
                -- Its reservation may still be on its way: a connection that was given up is
                -- read to its end.
                redis.call('SET', KEYS[1], 'settled', 'PX', 60000)
                return 'unknown'
            end
            if reservation[1] == 'settled' then return 'unknown' end
            local places = places_of(reservation)
            local reserved = reserved_by(reservation, places)
            local actual = {0, 0, 0, 0, 0, 0}
            if ARGV[8] == 'used' then actual = amounts(input, output, cost) end
            for a = 1, accounts do
                -- What has lapsed was given back already.
                local is_held = redis.call('ZREM', open[a], id) == 1
                for k = 1, count do
                    local place = places[code[k]]
                    if owner[k] == a and place then
                        settle(k, tonumber(reservation[place]),
                            is_held and reserved[quantity[k]] or 0, actual[quantity[k]])
                    end
                end
            end
            redis.call('DEL', KEYS[1])
            save()
            return 'done'
        end

        \#(grants)

        -- Reserve.
        if reservation then
            if reservation[1] == 'settled' then return 'settled' end
            return answer('reserved', 0, 0)
        end
        local requested = amounts(input, output, cost)
        for k = 1, count do
            if requested[quantity[k]] > capacity[k] then return answer('never', k, 0) end
        end
        local function wait_of(k)
            local a, asked = owner[k], requested[quantity[k]]
            if set[k] then
                local service = tonumber(ARGV[8])
                return service > 0 and ceil(service / max(used[k], 1)) or 1000000
            end
            if calendar[k] then return finish[k] - now end
            local rate = amount[k] / period[k]
            local over = (used[k] + asked - capacity[k]) / rate
            local wait = (clock[a] - now) + min(ceil(over), LONGEST)
            local step = 1
            while wait < LONGEST do
                local level = stored[k] - min(stored[k], ((now - base[a]) + wait) * rate)
                if level + asked <= capacity[k] then break end
                wait = wait + step
                step = step * 2
            end
            return wait
        end
        local longest, refusing = -1, 0
        for k = 1, count do
            if used[k] + requested[quantity[k]] > capacity[k] then
                local wait = wait_of(k)
                if wait > longest then longest, refusing = wait, k end
            end
        end
        if refusing > 0 then return answer('refused', refusing, longest) end

        local words = {text(moment + lease), text(input), text(output), text(cost)}
        for k = 1, count do
            words[#words + 1] = code[k]
            words[#words + 1] = charge(k, requested[quantity[k]])
        end
        hold(words)
        save()
        return answer('reserved', 0, 0)
        """#
}
