-- Who calls, for the side that serves them. The control plane knows credentials; what it says is kept here for a
-- minute, so that a request costs no call. What a client claims about itself has been removed before.

local KEPT_SECONDS, UNKNOWN_SECONDS, MOST = 60, 5, 10000
local known, known_count = {}, 0
local unknown, unknown_count = {}, 0

local function ask(handle, credential, passed_on)
  local ok, answer = pcall(function()
    return handle:httpCall("control", {
      [":method"] = "GET", [":path"] = "/-/caller", [":authority"] = "localhost", ["authorization"] = credential,
      ["x-weave-identity"] = passed_on,
    }, "", 1000)
  end)
  if not ok or answer == nil then return nil, false end
  local status = answer[":status"]
  return answer["x-weave-user"], status == "200" or status == "204"
end

-- `passed_on` is on whose behalf one of our services calls; the control plane believes it only of those.
local function user_of(handle, authorization, passed_on)
  local credential = passed_on and (authorization .. "\n" .. passed_on) or authorization
  local now = os.time()
  local entry = known[credential]
  if entry and entry.till > now then return entry.user end
  if (unknown[credential] or 0) > now then return nil end
  local user, answered = ask(handle, authorization, passed_on)
  if user then
    if not entry then known_count = known_count + 1 end
    if known_count > MOST then known, known_count = {}, 1 end
    known[credential] = { user = user, till = now + KEPT_SECONDS }
    return user
  end
  if not answered then
    -- Without the control plane a user stays where they were.
    return entry and entry.user or nil
  end
  if entry then known[credential], known_count = nil, known_count - 1 end
  unknown_count = unknown_count + 1
  if unknown_count > MOST then unknown, unknown_count = {}, 1 end
  unknown[credential] = now + UNKNOWN_SECONDS
  return nil
end

local function visitor_of(headers)
  local cookies = headers:get("cookie")
  return cookies and (";" .. cookies):match("[; ]weave%-visitor=([%w%-]+)")
end

local PROBES = { ["/health"] = true, ["/ready"] = true }

function envoy_on_request(handle)
  local headers = handle:headers()
  local path = headers:get(":path")
  if PROBES[path] then return end
  local session = headers:get("mcp-session-id")
  if session then
    local pin, own = session:match("^(r%x+)%.(.+)$")
    if pin then
      headers:replace("mcp-session-id", own)
      headers:replace("x-weave-pin", pin)
    end
  end
  local credential = headers:get("authorization")
  if credential then
    local user = user_of(handle, credential, headers:get("x-weave-identity"))
    -- Asking may have let other requests run meanwhile: what was fetched before it is not to be used after it.
    if user then handle:headers():replace("x-weave-user", "user:" .. user) end
  else
    local visitor = visitor_of(headers)
    if not visitor then
      visitor = (headers:get("x-request-id") or ""):match("^[%w%-]+$")
      if visitor then handle:streamInfo():dynamicMetadata():set("weave", "visitor", visitor) end
    end
    if visitor then headers:replace("x-weave-user", "visitor:" .. visitor) end
  end
  handle:clearRouteCache()
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local pin = headers:get("x-weave-pin")
  if pin then
    headers:remove("x-weave-pin")
    local session = headers:get("mcp-session-id")
    if session then headers:replace("mcp-session-id", pin .. "." .. session) end
  end
  local ours = handle:streamInfo():dynamicMetadata():get("weave")
  if ours and ours.visitor then
    headers:add("set-cookie", "weave-visitor=" .. ours.visitor .. "; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000")
  end
end
