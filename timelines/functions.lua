#!lua name=tideline
-- The timeline store's server-side functions. A function touches only keys of one partition: those it is given, and of
-- a tail the timeline it belongs to. Ids pass 2^53 and Lua has doubles only, so the 8 bytes of an id are read as if they
-- were a double's: of positive numbers these are in the same order, and go in and out unchanged.

local HEADER, CELL, WITHDRAWN, SECOND = 32, 16, 8, 128
local LONG_ENTRY_V1 = 32

-- The libraries are not there while this one is loaded, and are slow to look up at each use: each function binds them.
local byte, sub, rep, char, concat, pack, unpack_at, floor, max, call

local function register(name, body)
  server.register_function(name, function(keys, args)
    if not byte then
      byte, sub, rep, char, concat = string.byte, string.sub, string.rep, string.char, table.concat
      pack, unpack_at, floor, max, call = struct.pack, struct.unpack, math.floor, math.max, server.call
    end
    return body(keys, args)
  end)
end

local function header(state, entries, generation, used, sorted, capacity, lowest)
  return pack('>c4BBI2I4I4I4I4d', 'TLIN', 2, state, entries, generation % 4294967296, used, sorted, capacity, lowest)
end

-- state, then: entries of the sorted prefix, generation, used, sorted and capacity in cells, the timeline's floor.
local function parse_header(s)
  return byte(s, 6), unpack_at('>I2I4I4I4I4d', s, 7)
end

local function empty(state) return header(state, 0, 0, 0, 0, 0, 0) end

-- The stored form of layout version 1 (32 bytes an entry) in version 2, with nothing known to be sorted.
local function upgraded(s)
  local generation, _, lowest = unpack_at('>I4I4d', s, 9)
  local cells = {}
  for at = HEADER + 1, #s - LONG_ENTRY_V1 + 1, LONG_ENTRY_V1 do
    local appearance, author = sub(s, at, at + 7), sub(s, at + 9, at + 15)
    local original, original_author = sub(s, at + 16, at + 23), sub(s, at + 25, at + 31)
    cells[#cells + 1] = sub(s, at, at + CELL - 1)
    if original ~= appearance or original_author ~= author then
      cells[#cells + 1] = original .. char(SECOND) .. original_author
    end
  end
  return header(byte(s, 6), 0, generation + 1, #cells, 0, #cells, lowest) .. concat(cells)
end

-- The stored form at a key in the present layout, or nil.
local function load(key)
  local s = call('GET', key)
  if not s then return nil end
  if byte(s, 5) == 1 then
    s = upgraded(s)
    call('SET', key, s, 'KEEPTTL')
  end
  return s
end

-- Where the entry after the one at `at` starts.
local function next_entry(s, at)
  if (byte(s, at + CELL + 8) or 0) >= SECOND then return at + 2 * CELL end
  return at + CELL
end

-- In s, whose cells from `first` up to before `limit` ascend by id: where the first entry stands whose id is not
-- below `id`, and whether it has that id.
local function find_sorted(s, first, limit, id)
  local low, high = 0, (limit - first) / CELL
  while low < high do
    local middle = floor((low + high) / 2)
    local at = first + middle * CELL
    if byte(s, at + 8) >= SECOND then
      middle = middle - 1
      at = at - CELL
    end
    local found = unpack_at('>d', s, at)
    if found == id then return at, true end
    if found < id then
      low = (next_entry(s, at) - first) / CELL
    else
      high = middle
    end
  end
  return first + low * CELL, false
end

-- The same among the run of n ascending entries whose places and ids are given; nil when it lies after all.
local function find_in_run(places, ids, n, id)
  local low, high = 1, n + 1
  while low < high do
    local middle = floor((low + high) / 2)
    if ids[middle] < id then low = middle + 1 else high = middle end
  end
  if low > n then return nil, false end
  return places[low], ids[low] == id
end

local function is_withdrawn(s, at) return floor(byte(s, at + 8) / WITHDRAWN) % 2 == 1 end

local places, ids = {}, {}
local AT_ONCE = 16
local one_cell, many_cells

-- Cells of s behind the header, ascending by id, each id once (a withdrawn copy wins), and how many entries.
-- The first `sorted` cells are known to be so and hold `entries`; what follows ascends but for strays, which are
-- looked up one by one.
local function sorted_body(s, sorted, entries)
  if not many_cells then
    one_cell = 'dBxxxxxxx'
    many_cells = '>' .. rep(one_cell, AT_ONCE)
  end
  local edge, last = HEADER + 1 + sorted * CELL, #s
  local highest, n, strays = -1, 0, nil
  if sorted > 0 then
    local at = edge - CELL
    if byte(s, at + 8) >= SECOND then at = at - CELL end
    highest = unpack_at('>d', s, at)
  end
  for first = edge, last, AT_ONCE * CELL do
    local count = (last + 1 - first) / CELL
    local cells
    if count >= AT_ONCE then
      count, cells = AT_ONCE, {unpack_at(many_cells, s, first)}
    else
      cells = {unpack_at('>' .. rep(one_cell, count), s, first)}
    end
    local at = first
    for cell = 1, 2 * count, 2 do
      if cells[cell + 1] < SECOND then
        local id = cells[cell]
        if highest < id then
          n = n + 1
          places[n], ids[n] = at, id
          highest = id
        else
          strays = strays or {}
          strays[#strays + 1] = {id = id, at = at}
        end
      end
      at = at + CELL
    end
  end
  if not strays then return sub(s, HEADER + 1), entries + n end

  -- An edit cuts the bytes from `at` to before `to` and puts `text` there.
  local edits, count = {}, entries + n
  for _, stray in ipairs(strays) do
    edits[#edits + 1] = {at = stray.at, to = next_entry(s, stray.at), text = '', rank = 0}
  end
  table.sort(strays, function(a, b)
    if a.id ~= b.id then return a.id < b.id end
    return a.at < b.at
  end)
  local i = 1
  while i <= #strays do
    local chosen, j = strays[i], i + 1
    while j <= #strays and strays[j].id == chosen.id do
      if is_withdrawn(s, strays[j].at) then chosen = strays[j] end
      j = j + 1
    end
    local place, known
    if n == 0 or chosen.id < ids[1] then
      place, known = find_sorted(s, HEADER + 1, edge, chosen.id)
    else
      place, known = find_in_run(places, ids, n, chosen.id)
      place = place or last + 1
    end
    local text = sub(s, chosen.at, next_entry(s, chosen.at) - 1)
    if not known then
      edits[#edits + 1] = {at = place, to = place, text = text, rank = -#strays + i - 1}
      count = count + 1
    elseif is_withdrawn(s, chosen.at) and not is_withdrawn(s, place) then
      edits[#edits + 1] = {at = place, to = next_entry(s, place), text = text, rank = 0}
    end
    i = j
  end
  table.sort(edits, function(a, b)
    if a.at ~= b.at then return a.at < b.at end
    return a.rank < b.rank
  end)
  local pieces, from = {}, HEADER + 1
  for _, edit in ipairs(edits) do
    if edit.at > from then pieces[#pieces + 1] = sub(s, from, edit.at - 1) end
    pieces[#pieces + 1] = edit.text
    from = edit.to
  end
  pieces[#pieces + 1] = sub(s, from)
  return concat(pieces), count
end

-- Entries appended before the next settling: the digits that end the owner's id spread the moment, so that timelines
-- that fill in step are not all settled in one call.
local function spread(slack, ones, tens)
  return max(1, floor(slack * (50 + (ones * 10 + tens) % 100) / 100))
end

-- The stored form of s (header and used cells): entries ascending, each id once, the newest `length` kept, and `room`
-- free cells behind (given the used ones and whether the timeline is full).
local function settled(s, length, room)
  local state, entries, generation, _, sorted, _, lowest = parse_header(s)
  local body, count = sorted_body(s, sorted, entries)
  local from = 1
  if count > length then
    local dropped = from
    for _ = 1, count - length do
      dropped = from
      from = next_entry(body, from)
    end
    lowest = max(lowest, (unpack_at('>d', body, dropped)))
    count = length
  end
  local used = (#body - from + 1) / CELL
  local free = room(used, count == length)
  if from > 1 then body = sub(body, from) end
  local head = header(state, count, generation + 1, used, used, used + free, lowest)
  if free == 0 then return head .. body end
  return head .. body .. rep('\0', free * CELL)
end

local function used_part(s)
  local used = unpack_at('>I4', s, 13)
  return sub(s, 1, HEADER + used * CELL)
end

-- A home timeline is two strings: the settled one, and behind its key with a '+' what was appended since.

local function no_room() return 0 end

local function tail_head(generation) return pack('>c4BBI2I4I4', 'TAIL', 2, 0, 0, generation % 4294967296, 0) end

-- Whether a tail is that of a stored timeline: of its generation.
local function belongs(s, tail) return sub(tail, 1, 4) == 'TAIL' and sub(s, 9, 12) == sub(tail, 9, 12) end

local function put_home(key, tail_key, s, ...)
  call('SET', key, s, ...)
  call('SET', tail_key, tail_head(unpack_at('>I4', s, 9)), ...)
end

-- deliver KEYS: the tails of home timelines; ARGV: length, slack, then the packed entries of each. Only existing
-- timelines are written; answers how many were. Given nothing to append to a tail, it looks whether that is one: who
-- appends without this function leaves bytes where there was no timeline.
register('deliver', function(keys, args)
  local length, slack, appended = tonumber(args[1]), tonumber(args[2]), 0
  local soonest = CELL + CELL * floor(slack / 2)
  for i = 1, #keys do
    local tail_key, blob = keys[i], args[i + 2]
    local stored = call('APPEND', tail_key, blob)
    if stored == #blob or (#blob == 0 and call('GETRANGE', tail_key, 0, 3) ~= 'TAIL') then
      call('DEL', tail_key)
    else
      appended = appended + 1
      if stored > soonest and stored > CELL + CELL * spread(slack, byte(tail_key, -2), byte(tail_key, -3)) then
        local key = sub(tail_key, 1, -2)
        local s, tail = call('GET', key), call('GET', tail_key)
        if s and belongs(s, tail) then
          put_home(key, tail_key, settled(s .. sub(tail, CELL + 1), length, no_room), 'KEEPTTL')
        else
          call('DEL', key, tail_key)
        end
      end
    end
  end
  return appended
end)

-- An outbox is one string that has room at its end.

local function outbox_room(key, slack)
  return function(used, full)
    if full then return spread(slack, byte(key, -1), byte(key, -2)) end
    return max(4, floor(used / 2))
  end
end

-- append_outbox KEYS: outboxes; ARGV: length, slack, then the packed entries of each. Answers how many.
register('append_outbox', function(keys, args)
  local length, slack = tonumber(args[1]), tonumber(args[2])
  for i, key in ipairs(keys) do
    local head, blob = call('GETRANGE', key, 0, 23), args[i + 2]
    local used, _, capacity = 0, 0, -1
    if #head > 0 and byte(head, 5) == 2 then used, _, capacity = unpack_at('>I4I4I4', head, 13) end
    local after = used + #blob / CELL
    if after <= capacity then
      call('SETRANGE', key, HEADER + used * CELL, blob)
      call('SETRANGE', key, 12, pack('>I4', after))
    else
      local s = #head > 0 and used_part(load(key)) or empty(1)
      call('SET', key, settled(s .. blob, length, outbox_room(key, slack)), 'KEEPTTL')
    end
  end
  return #keys
end)

-- newest_entries KEYS: outboxes; ARGV: length, slack, cells. Answers for each nothing, or its header followed by its
-- newest entries in ascending order: at most so many cells. Puts in order what was appended out of order.
register('newest_entries', function(keys, args)
  local length, slack, wanted = tonumber(args[1]), tonumber(args[2]), tonumber(args[3])
  local answers = {}
  for i, key in ipairs(keys) do
    local head = call('GETRANGE', key, 0, HEADER - 1)
    if #head == 0 then
      answers[i] = false
    else
      local used, sorted = unpack_at('>I4I4', head, 13)
      if byte(head, 5) ~= 2 or used ~= sorted then
        local s = settled(used_part(load(key)), length, outbox_room(key, slack))
        call('SET', key, s, 'KEEPTTL')
        head = sub(s, 1, HEADER)
        used = unpack_at('>I4', head, 13)
      end
      local from = max(used - wanted, 0)
      local tail = used > from and call('GETRANGE', key, HEADER + from * CELL, HEADER + used * CELL - 1) or ''
      if #tail > 0 and byte(tail, 9) >= SECOND then tail = sub(tail, CELL + 1) end
      answers[i] = head .. tail
    end
  end
  return answers
end)

-- activate KEYS: the partition's activated set, then for each reader the home timeline and its tail; ARGV: expiry in ms,
-- then the reader ids. A reader's first activation makes an empty complete timeline; later ones do nothing.
register('activate', function(keys, args)
  local made = 0
  for i = 2, #args do
    local key, tail_key = keys[2 * i - 2], keys[2 * i - 1]
    if call('SADD', keys[1], args[i]) == 1 and call('EXISTS', key) == 0 then
      put_home(key, tail_key, empty(1), 'PX', args[1])
      made = made + 1
    end
  end
  return made
end)

-- open_home KEYS: a home timeline, its tail, the partition's activated set, the reader's rebuild lease; ARGV: expiry in
-- ms, the reader id, the caller's token, lease in ms, the generation that was found wanting or -1. Makes sure that the
-- timeline exists and collects deliveries; answers its two strings to the one caller that gets the lease, nothing to
-- others, nor when a complete timeline is of another generation: it may do by now.
register('open_home', function(keys, args)
  local s, tail = call('GET', keys[1]), call('GET', keys[2])
  local whole = s and tail and byte(s, 5) == 2 and belongs(s, tail)
  if whole and byte(s, 6) == 1 and unpack_at('>I4', s, 9) ~= tonumber(args[5]) then return false end
  if not call('SET', keys[4], args[3], 'NX', 'PX', args[4]) then return false end
  call('SADD', keys[3], args[2])
  if whole then
    call('PEXPIRE', keys[1], args[1])
    call('PEXPIRE', keys[2], args[1])
    return {s, tail}
  end
  put_home(keys[1], keys[2], empty(0), 'PX', args[1])
  return {call('GET', keys[1]), call('GET', keys[2])}
end)

-- fill_home KEYS: a home timeline, its tail, the reader's rebuild lease; ARGV: expiry in ms, length, generation and
-- cells of the tail seen at the start, floor, packed entries in ascending order, the caller's token. Replaces what was
-- seen and keeps what was appended since. When the timeline was settled meanwhile, everything is merged and the higher
-- floor holds. Answers 1 when it was filled, 0 when the lease is another's: what the caller read may be too old by now.
register('fill_home', function(keys, args)
  local key, tail_key = keys[1], keys[2]
  if call('GET', keys[3]) ~= args[7] then return 0 end
  call('DEL', keys[3])
  local length, generation, seen = tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
  local current, tail = call('GET', key), call('GET', tail_key)
  if not (current and tail) then return 0 end
  local _, _, now, _, _, _, old_floor = parse_header(current)
  local lowest = unpack_at('>d', args[5])
  local rest
  if now == generation then
    rest = sub(tail, CELL + seen * CELL + 1)
  else
    rest = sub(current, HEADER + 1) .. sub(tail, CELL + 1)
    lowest = max(lowest, old_floor)
  end
  local merged = header(1, 0, now, 0, 0, 0, lowest) .. args[6] .. rest
  put_home(key, tail_key, settled(merged, length, no_room), 'PX', args[1])
  return 1
end)

-- put_versioned KEYS: strings; ARGV: for each its value, which starts with an 8-byte version.
-- A lower version never overwrites; answers how many were written.
register('put_versioned', function(keys, args)
  local written = 0
  for i, key in ipairs(keys) do
    local new_hi, new_lo = unpack_at('>I4I4', args[i])
    local old = call('GETRANGE', key, 0, 7)
    local newer = #old < 8
    if not newer then
      local hi, lo = unpack_at('>I4I4', old)
      newer = new_hi > hi or (new_hi == hi and new_lo >= lo)
    end
    if newer then
      call('SET', key, args[i], 'KEEPTTL')
      written = written + 1
    end
  end
  return written
end)

-- replace_score KEYS: a sorted set; ARGV: a member, the score that it may have, the one that it then gets. Answers 1
-- when it had that score.
register('replace_score', function(keys, args)
  if tonumber(call('ZSCORE', keys[1], args[1]) or -1) ~= tonumber(args[2]) then return 0 end
  call('ZADD', keys[1], args[3], args[1])
  return 1
end)

-- unmark_pulled_share KEYS: the pulled authors, the pulled shares, the stamp; ARGV: a new stamp, the share, how many
-- shares there are, then authors. An author of whom no share is left is pulled no longer; answers how many were.
register('unmark_pulled_share', function(keys, args)
  local gone = 0
  for i = 4, #args do
    call('SREM', keys[2], args[i] .. ':' .. args[2])
    local left = false
    for share = 0, tonumber(args[3]) - 1 do
      left = left or call('SISMEMBER', keys[2], args[i] .. ':' .. share) == 1
    end
    if not left then gone = gone + call('SREM', keys[1], args[i]) end
  end
  call('SET', keys[3], args[1])
  return gone
end)

-- stamps KEYS: home timelines or outboxes. Answers for each what changes whenever it does: what its header says of its
-- cells, and how long its tail is.
register('stamps', function(keys, args)
  local stamps = {}
  for i = 1, #keys do
    stamps[i] = call('GETRANGE', keys[i], 8, HEADER - 1) .. call('STRLEN', keys[i] .. '+')
  end
  return stamps
end)

-- append_newest KEYS: a string; ARGV: bytes to append, how many of the newest bytes count, the milliseconds it is kept.
-- It never grows beyond twice of what counts; answers its length.
register('append_newest', function(keys, args)
  local length, newest = call('APPEND', keys[1], args[1]), tonumber(args[2])
  if length > 2 * newest then
    call('SET', keys[1], call('GETRANGE', keys[1], -newest, -1))
    length = newest
  end
  call('PEXPIRE', keys[1], args[3])
  return length
end)
