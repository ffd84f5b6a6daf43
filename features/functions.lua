#!lua name=tideline_features
-- Feature rows: 1 byte version, 8 bytes event time (ms, big-endian), values. Layout: features/rows.py.

-- KEYS: row keys of one partition. ARGV[1]: seconds to keep, 0 for ever; ARGV[1 + i]: the row of KEYS[i].
-- A row older than the stored one of the same version is dropped. Returns how many rows were written.
local function put_feature_rows(keys, args)
  local written = 0
  for i, key in ipairs(keys) do
    local row = args[i + 1]
    local stored = redis.call('GETRANGE', key, 0, 8)
    if #stored < 9 or stored:byte(1) ~= row:byte(1)
        or struct.unpack('>I8', stored, 2) <= struct.unpack('>I8', row, 2) then
      if args[1] == '0' then
        redis.call('SET', key, row)
      else
        redis.call('SET', key, row, 'EX', args[1])
      end
      written = written + 1
    end
  end
  return written
end

redis.register_function('put_feature_rows', put_feature_rows)
