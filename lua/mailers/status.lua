-- status - the HTTP service lua.mailers: /metrics for Prometheus, /status.json, and / a page that shows it.
--
--   http-request use-service lua.mailers if { path_beg /mailers/ }
--
-- HAProxy runs it in the state and on the thread that serves the request; it asks the engine, and changes nothing. Only the end of
-- the path counts, so the service may stand anywhere. The page is one file that was read at the start: after it there may be a
-- chroot. It holds no word of anybody else; what it shows comes from status.json.

-- Of the style and the script that stand in status.html; regtests/haproxy/status/run.sh says what they must be.
local STYLE = "sha256-m1D5U77GsQXoGbQ+HHghUXvXbckjmINe0T6+BLe+7Mg="
local SCRIPT = "sha256-x1ns934/B7LVXTFbvuqGTDL7CBiwIWfI5iqpwvsZHKw="

local SHUT = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
local POLICY = ("%s; style-src '%s'; script-src '%s'; connect-src 'self'; img-src data:; require-trusted-types-for 'script'")
	:format(SHUT, STYLE, SCRIPT)

-- <page> is the text of status.html, nil when it could not be read.
return function(engine, page)
	local answers = {
		{ "/metrics$", "text/plain; version=0.0.4; charset=utf-8", engine.metrics },
		{ "/status%.json$", "application/json", engine.status },
		{ "/$", "text/html; charset=utf-8", function() return page end, POLICY },
	}

	local function reply(applet, status, kind, text, policy, allow)
		applet:set_status(status)
		applet:add_header("Content-Type", kind)
		applet:add_header("Content-Length", tostring(#text))
		applet:add_header("Cache-Control", "no-store")
		applet:add_header("Content-Security-Policy", policy or SHUT)
		applet:add_header("X-Content-Type-Options", "nosniff")
		applet:add_header("Referrer-Policy", "no-referrer")
		applet:add_header("Cross-Origin-Resource-Policy", "same-origin")
		if allow then
			applet:add_header("Allow", allow)
		end
		applet:start_response()
		if applet.method ~= "HEAD" then
			applet:send(text) -- HAProxy takes a long text piece by piece
		end
	end

	local function reply_text(applet, status, text, allow)
		reply(applet, status, "text/plain; charset=utf-8", text .. "\n", nil, allow)
	end

	local function serve(applet)
		for _, answer in ipairs(answers) do
			local path, kind, say, policy = table.unpack(answer, 1, 4)
			if (applet.path or ""):find(path) then
				if applet.method ~= "GET" and applet.method ~= "HEAD" then
					return reply_text(applet, 405, "only GET and HEAD", "GET, HEAD")
				end
				local text = say()
				if text then
					return reply(applet, 200, kind, text, policy)
				end
				return reply_text(applet, 503, "not to be had: out of memory, or Lua's io library is closed to the page")
			end
		end
		reply_text(applet, 404, "nothing here: there are /, /status.json and /metrics")
	end

	core.register_service("mailers", "http", serve)
end
