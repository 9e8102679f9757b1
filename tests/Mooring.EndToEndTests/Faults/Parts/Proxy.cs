using System.Globalization;
using System.Net.Sockets;
using Mooring.EndToEndTests.Harness;
using Mooring.Tests;
using Xunit;

namespace Mooring.EndToEndTests.Faults.Parts;

/// <summary>A real proxy in front of a gateway, as one process of its own. The test that started it disposes it.</summary>
internal sealed class Proxy : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private ToolProcess? _process;

    private Proxy(int port) => Port = port;

    public int Port { get; }

    public Uri Url(string path) => new($"http://127.0.0.1:{Port.ToString(CultureInfo.InvariantCulture)}{path}");

    /// <summary>nginx with nothing set but its read timeout: HTTP/1.0 to the gateway and buffering on, as it comes.</summary>
    /// <param name="gateway">Where requests go.</param>
    /// <param name="idleSeconds">Silence after which a response is cut.</param>
    /// <param name="settings">Further settings of the location.</param>
    public static Task<Proxy> NginxAsync(GatewayProcess gateway, int idleSeconds, string settings = "") => StartAsync("nginx", (proxy, folder) => (
        $$"""
        daemon off;
        master_process off;
        pid {{folder}}/nginx.pid;
        error_log stderr warn;
        events { worker_connections 512; }
        http {
            access_log off;
            client_body_temp_path {{folder}}/body;
            proxy_temp_path {{folder}}/proxy;
            fastcgi_temp_path {{folder}}/fastcgi;
            uwsgi_temp_path {{folder}}/uwsgi;
            scgi_temp_path {{folder}}/scgi;
            server {
                listen 127.0.0.1:{{proxy.Port}};
                location / {
                    proxy_pass {{gateway.BaseUrl.GetLeftPart(UriPartial.Authority)}};
                    proxy_read_timeout {{idleSeconds}}s;
                    {{settings}}
                }
            }
        }
        """,
        file => ["-p", folder, "-e", "stderr", "-c", file]));

    /// <summary>HAProxy with the same idle time on both sides.</summary>
    public static Task<Proxy> HaproxyAsync(GatewayProcess gateway, int idleSeconds) => HaproxyAsync([gateway], idleSeconds);

    /// <summary>HAProxy before several gateways: each request goes to the next of them, whatever session it belongs to.</summary>
    /// <param name="gateways">All of them.</param>
    /// <param name="idleSeconds">Silence after which a response is cut.</param>
    /// <param name="port">Where it listens, if the gateways were told beforehand.</param>
    public static Task<Proxy> HaproxyAsync(IReadOnlyList<GatewayProcess> gateways, int idleSeconds, int? port = null) => StartAsync("haproxy", (proxy, _) => (
        $$"""
        global
            maxconn 512
        defaults
            mode http
            timeout connect 5s
            timeout client {{idleSeconds}}s
            timeout server {{idleSeconds}}s
        frontend in
            bind 127.0.0.1:{{proxy.Port}}
            default_backend out
        backend out
            balance roundrobin
        {{string.Concat(gateways.Select((gateway, index) => $"    server gateway{index} 127.0.0.1:{gateway.Port}\n"))}}
        """,
        file => ["-db", "-f", file]), port);

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await _process.DisposeAsync();
        }

        _folder.Dispose();
    }

    private static async Task<Proxy> StartAsync(string program, Func<Proxy, string, (string Config, Func<string, string[]> Arguments)> describe, int? port = null)
    {
        var proxy = new Proxy(port ?? LoopbackPorts.Take());
        var (config, arguments) = describe(proxy, proxy._folder.Path);
        var file = proxy._folder.File("proxy.conf");
        await File.WriteAllTextAsync(file, config, TestContext.Current.CancellationToken);
        var process = proxy._process = ToolProcess.Start(Find(program), arguments(file), folder: proxy._folder.Path);
        await Wait.UntilAsync(
            async () =>
            {
                Assert.False(process.HasExited, process.Describe($"{program} ended at its start"));
                return await ListensAsync(proxy.Port);
            },
            () => process.Describe($"{program} does not listen"));
        return proxy;
    }

    /// <summary>Debian keeps both where a user's PATH may not lead.</summary>
    private static string Find(string program) => File.Exists($"/usr/sbin/{program}") ? $"/usr/sbin/{program}" : program;

    private static async Task<bool> ListensAsync(int port)
    {
        try
        {
            using var socket = new TcpClient();
            await socket.ConnectAsync("127.0.0.1", port, TestContext.Current.CancellationToken);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
