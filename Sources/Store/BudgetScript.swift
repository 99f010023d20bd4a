// SPDX-License-Identifier: Apache-2.0

/// The script that decides in Redis: one call is one atomic decision, by Redis's own clock.
///
/// It is `Budget` once more, operation by operation, on the same doubles; a test holds the two
/// together. Change neither alone. It runs in Redis 5 and later and uses the commands TIME, GET,
/// SET, DEL, HMGET, HSET, PEXPIRE, ZADD, ZREM, ZCOUNT, ZREMRANGEBYSCORE and ZCARD; the connection
/// uses EVALSHA and SCRIPT LOAD, and AUTH and SELECT where they are configured.
///
/// Keys, all of one tenant and with one hash tag, all expiring:
/// - `{prefix:tenant}:used`, a hash: the account. At most 13 fields, under 1 KB (measured in Redis
///   7.0: 520 bytes); kept until all of it has drained and its day and month are over.
/// - `{prefix:tenant}:open`, a sorted set: the concurrent requests by the end of their lease, under
///   250 bytes each (149 to 178); kept for a lease and a minute.
/// - `{prefix:tenant}:hold:<reservation>`, a string: one open reservation, under 400 bytes (219 to
///   232). Deleted at settlement; that of a dead gateway is kept for a lease and an hour.
///
/// So a tenant costs at most 1 KB, and 650 bytes for each request that is open.
enum BudgetScript {
    static let text = #"""
        -- KEYS: used, open, hold.
        -- ARGV: operation; now, empty but in tests; lease, kept; seven limits; input, output, cost;
        -- service time (reserve), used or nothing (settle). Times in microseconds.
        local names = {'tokens_per_minute', 'input_tokens_per_minute',
            'output_tokens_per_minute', 'requests_per_minute', 'concurrent_requests',
            'tokens_per_day', 'cost_per_month'}
        local MINUTE, DAY, LONGEST = 60000000, 86400000000, 1e15
        local operation = ARGV[1]
        if operation == 'probe' then
            -- Can this server decide at all? A replica, or one without memory, says no.
            redis.call('SET', KEYS[3], 'settled', 'PX', 60000)
            return 'done'
        end
        local lease, kept = tonumber(ARGV[3]), tonumber(ARGV[4])
        local limits = {}
        for k = 1, 7 do limits[k] = tonumber(ARGV[4 + k]) end
        local input, output, cost = tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])

        local now = tonumber(ARGV[2])
        if not now then
            local time = redis.call('TIME')
            now = tonumber(time[1]) * 1000000 + tonumber(time[2])
        end

        local function text(number) return string.format('%.17g', number) end
        local function whole(number) return string.format('%.0f', number) end

        local function amounts(input, output, cost)
            local tokens = input + output
            return {tokens, input, output, 1, 1, tokens, cost}
        end

        -- Months since year 0, and where they end: see CalendarWindow.
        local function month_of(time)
            local shifted = math.floor(time / DAY) + 719468
            local era = math.floor(shifted / 146097)
            local doe = shifted - era * 146097
            local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524)
                - math.floor(doe / 146096)) / 365)
            local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
            return (yoe + era * 400) * 12 + math.floor((5 * doy + 2) / 153) + 2
        end
        local function month_end(month)
            local from_march = month - 1
            local year = math.floor(from_march / 12)
            local era = math.floor(year / 400)
            local yoe = year - era * 400
            local doy = math.floor((153 * (from_march - year * 12) + 2) / 5)
            local doe = yoe * 365 + math.floor(yoe / 4) - math.floor(yoe / 100) + doy
            return (era * 146097 + doe - 719468) * DAY
        end
        local function day_end(time) return (math.floor(time / DAY) + 1) * DAY end

        -- The account as it is kept.
        local used, outflow = {0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0}
        local fields = {'clock', 'day', 'month'}
        for k = 1, 7 do
            if limits[k] > 0 and k ~= 5 then
                fields[#fields + 1] = names[k]
                if k <= 4 then fields[#fields + 1] = names[k] .. ':outflow' end
            end
        end
        local values = redis.call('HMGET', KEYS[1], unpack(fields))
        local clock, day, month = tonumber(values[1]) or 0, tonumber(values[2]) or 0,
            tonumber(values[3]) or 0
        local at = 3
        for k = 1, 7 do
            if limits[k] > 0 and k ~= 5 then
                at = at + 1
                used[k] = tonumber(values[at]) or 0
                if k <= 4 then
                    at = at + 1
                    outflow[k] = tonumber(values[at]) or 0
                end
            end
        end
        local stored = {unpack(used)}

        -- The account at present.
        local set_back = now < clock - MINUTE
        local base = set_back and now or clock
        local elapsed = math.max(now - base, 0)
        clock = math.max(now, base)
        for k = 1, 4 do
            if limits[k] > 0 then
                local drained = math.min(used[k], elapsed * (limits[k] / MINUTE))
                used[k] = used[k] - drained
                outflow[k] = outflow[k] + drained
            end
        end
        local function turn(k, kept_window, window)
            if limits[k] > 0 and kept_window ~= window then
                if not (set_back and kept_window > window) then used[k] = 0 end
                return window
            end
            return kept_window
        end
        day = turn(6, day, math.floor(clock / DAY))
        if limits[7] > 0 then month = turn(7, month, month_of(clock)) end
        if limits[5] > 0 then
            -- Once a script has written, Redis lets it go on without memory: one that is to be
            -- refused then must not begin with a write that changes nothing.
            if redis.call('ZCOUNT', KEYS[2], '-inf', text(clock)) > 0 then
                redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(clock))
            end
            used[5] = redis.call('ZCARD', KEYS[2])
        end

        local function answer(word, kind, wait)
            local parts = {word, kind, text(wait), text(now), text(clock)}
            for k = 1, 7 do parts[5 + k] = text(used[k]) end
            return table.concat(parts, ' ')
        end
        local function milliseconds(time) return whole(math.min(math.ceil(time / 1000), 4e12)) end
        local function save()
            local written = {'clock', text(clock), 'day', text(day), 'month', text(month)}
            local life = lease + kept + MINUTE
            for k = 1, 7 do
                if limits[k] > 0 and k ~= 5 then
                    written[#written + 1] = names[k]
                    written[#written + 1] = text(used[k])
                    if k <= 4 then
                        written[#written + 1] = names[k] .. ':outflow'
                        written[#written + 1] = text(outflow[k])
                        life = math.max(life, used[k] / (limits[k] / MINUTE))
                    end
                end
            end
            if limits[6] > 0 then life = math.max(life, day_end(clock) - now) end
            if limits[7] > 0 then life = math.max(life, month_end(month) - now) end
            redis.call('HSET', KEYS[1], unpack(written))
            redis.call('PEXPIRE', KEYS[1], milliseconds(life))
        end
        -- The open reservation as words: end of lease, kinds, input, output, cost, four marks,
        -- day, month.
        local function hold(words)
            redis.call('SET', KEYS[3], table.concat(words, ' '), 'PX',
                milliseconds(lease + kept + clock - now))
            if math.floor(tonumber(words[2]) / 16) % 2 == 1 then
                redis.call('ZADD', KEYS[2], words[1], string.sub(KEYS[3], -32))
                redis.call('PEXPIRE', KEYS[2], milliseconds(lease + MINUTE + clock - now))
            end
        end
        local function held()
            local value = redis.call('GET', KEYS[3])
            if not value then return nil end
            local words = {}
            for word in string.gmatch(value, '%S+') do words[#words + 1] = word end
            if words[1] ~= 'settled' and tonumber(words[1]) + kept <= clock then return nil end
            return words
        end

        if operation == 'usage' then return answer('usage', 0, 0) end

        local reservation = held()
        if operation == 'renew' then
            if not reservation or reservation[1] == 'settled' then return 'unknown' end
            reservation[1] = text(clock + lease)
            hold(reservation)
            return 'done'
        end

        if operation == 'settle' then
            if not reservation then
                -- Its reservation may still be on its way: a connection that was given up is
                -- read to its end.
                redis.call('SET', KEYS[3], 'settled', 'PX', 60000)
                return 'unknown'
            end
            if reservation[1] == 'settled' then return 'unknown' end
            local reserved = amounts(tonumber(reservation[3]), tonumber(reservation[4]),
                tonumber(reservation[5]))
            local actual = {0, 0, 0, 0, 0, 0, 0}
            if ARGV[15] == 'used' then actual = amounts(input, output, cost) end
            local kinds = tonumber(reservation[2])
            local function charged(k) return math.floor(kinds / 2 ^ (k - 1)) % 2 == 1 end
            for k = 1, 4 do
                if charged(k) and limits[k] > 0 then
                    local more = actual[k] - reserved[k]
                    if more >= 0 then
                        used[k] = used[k] + more
                    else
                        local undrained = math.max(0, tonumber(reservation[5 + k]) - outflow[k])
                        local refund = math.min(-more, math.min(used[k], undrained))
                        used[k] = used[k] - refund
                        outflow[k] = outflow[k] + refund
                    end
                end
            end
            if charged(6) and limits[6] > 0 and tonumber(reservation[10]) == day then
                used[6] = math.max(0, used[6] + (actual[6] - reserved[6]))
            end
            if charged(7) and limits[7] > 0 and tonumber(reservation[11]) == month then
                used[7] = math.max(0, used[7] + (actual[7] - reserved[7]))
            end
            redis.call('DEL', KEYS[3])
            if charged(5) then redis.call('ZREM', KEYS[2], string.sub(KEYS[3], -32)) end
            save()
            return 'done'
        end

        -- Reserve.
        if reservation then
            if reservation[1] == 'settled' then return 'settled' end
            return answer('reserved', 0, 0)
        end
        local requested = amounts(input, output, cost)
        for k = 1, 7 do
            if limits[k] > 0 and requested[k] > limits[k] then return answer('never', k, 0) end
        end
        local function wait_of(k)
            if k == 5 then
                local service = tonumber(ARGV[15])
                return service > 0 and math.ceil(service / math.max(used[5], 1)) or 1000000
            end
            if k == 6 then return day_end(clock) - now end
            if k == 7 then return month_end(month_of(clock)) - now end
            local rate = limits[k] / MINUTE
            local over = (used[k] + requested[k] - limits[k]) / rate
            local wait = (clock - now) + math.min(math.ceil(over), LONGEST)
            local step = 1
            while wait < LONGEST do
                local level = stored[k] - math.min(stored[k], ((now - base) + wait) * rate)
                if level + requested[k] <= limits[k] then break end
                wait = wait + step
                step = step * 2
            end
            return wait
        end
        local longest, refusing = -1, 0
        for k = 1, 7 do
            if limits[k] > 0 and used[k] + requested[k] > limits[k] then
                local wait = wait_of(k)
                if wait > longest then longest, refusing = wait, k end
            end
        end
        if refusing > 0 then return answer('refused', refusing, longest) end

        local kinds, marks = 0, {0, 0, 0, 0}
        for k = 1, 7 do
            if limits[k] > 0 then
                kinds = kinds + 2 ^ (k - 1)
                used[k] = used[k] + requested[k]
                if k <= 4 then marks[k] = used[k] + outflow[k] end
            end
        end
        hold({text(clock + lease), text(kinds), text(input), text(output), text(cost),
            text(marks[1]), text(marks[2]), text(marks[3]), text(marks[4]), text(day), text(month)})
        save()
        return answer('reserved', 0, 0)
        """#
}
