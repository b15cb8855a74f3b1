-- The request of all peers, for wrk. DELAY_MS: how long a connection waits after a reply, which gives wrk a rate.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local file = assert(io.open(os.getenv("ORDER"), "rb"))
wrk.body = file:read("*a")
file:close()
local wait = tonumber(os.getenv("DELAY_MS") or "0")
if wait > 0 then
  function delay() return wait end
end
