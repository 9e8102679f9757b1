using System.Net.Sockets;
using Mooring.EndToEndTests.Harness;
using Mooring.Tests;

namespace Mooring.Chaos.Stands;

/// <summary>
/// A real balancer in front of all replicas: round robin by request, no stickiness, 5 s of silence end a response; small buffers, so that a slow
/// reader is felt behind it. Made and disposed by the stand.
/// </summary>
internal sealed class Balancer : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(30);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("mooring-chaos-");
    private ToolProcess? _process;

    private Balancer(string name) => Name = name;

    public string Name { get; }

    public int Port { get; } = LoopbackPorts.Take();

    /// <summary>HAProxy, which asks each replica twice a second whether it is ready.</summary>
    public static Task<Balancer> HaproxyAsync(IReadOnlyList<int> replicas, int silence) => StartAsync(
        "haproxy",
        (balancer, _) => $"""
            global
                maxconn 8000
                tune.rcvbuf.server 16384
                tune.sndbuf.client 16384
            defaults
                mode http
                timeout connect 2s
                timeout client 5s
                timeout server 5s
                timeout http-keep-alive 5s
                timeout http-request 5s
                retries 3
                option redispatch 1
            frontend in
                bind 127.0.0.1:{balancer.Port}
                acl wants_silence path /silence
                use_backend silence if wants_silence
                default_backend replicas
            backend silence
                server silence 127.0.0.1:{silence}
            backend replicas
                balance roundrobin
                option httpchk GET /ready
                default-server check inter 500ms fall 1 rise 1
            {string.Concat(replicas.Select((port, index) => $"    server r{index} 127.0.0.1:{port}\n"))}
            """,
        file => ["-db", "-f", file]);

    /// <summary>nginx, which asks nobody and finds out by itself who is away.</summary>
    public static Task<Balancer> NginxAsync(IReadOnlyList<int> replicas, int silence) => StartAsync(
        "nginx",
        (balancer, folder) => $$"""
            daemon off;
            worker_processes 1;
            pid {{folder}}/nginx.pid;
            error_log {{folder}}/error.log crit;
            events { worker_connections 8000; }
            http {
                access_log off;
                client_body_temp_path {{folder}}/body;
                proxy_temp_path {{folder}}/proxy;
                fastcgi_temp_path {{folder}}/fastcgi;
                uwsgi_temp_path {{folder}}/uwsgi;
                scgi_temp_path {{folder}}/scgi;
                upstream replicas {
                    {{string.Concat(replicas.Select(port => $"server 127.0.0.1:{port} max_fails=1 fail_timeout=1s;"))}}
                    keepalive 32;
                    # Below the time for which a gateway that stops serves everything: a connection that is kept longer meets its refusal.
                    keepalive_timeout 1s;
                }
                server {
                    listen 127.0.0.1:{{balancer.Port}} backlog=4096 sndbuf=16k;
                    location /silence {
                        proxy_pass http://127.0.0.1:{{silence}};
                        proxy_read_timeout 5s;
                    }
                    location / {
                        proxy_pass http://replicas;
                        proxy_http_version 1.1;
                        proxy_set_header Connection "";
                        proxy_set_header Host $http_host;
                        proxy_connect_timeout 2s;
                        proxy_read_timeout 5s;
                        proxy_send_timeout 5s;
                    }
                }
            }
            """,
        file => ["-p", Path.GetDirectoryName(file)!, "-e", "stderr", "-c", file]);

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await _process.DisposeAsync();
        }

        _folder.Delete(recursive: true);
    }

    private static async Task<Balancer> StartAsync(string program, Func<Balancer, string, string> config, Func<string, string[]> arguments)
    {
        var balancer = new Balancer(program);
        var folder = balancer._folder.FullName;
        var file = Path.Combine(folder, "balancer.conf");
        await File.WriteAllTextAsync(file, config(balancer, folder) + "\n");
        // Debian keeps both where a user's PATH may not lead.
        var path = File.Exists($"/usr/sbin/{program}") ? $"/usr/sbin/{program}" : program;
        var process = balancer._process = ToolProcess.Start(path, arguments(file), folder: folder);
        var start = TimeProvider.System.GetTimestamp();
        while (!await ListensAsync(balancer.Port))
        {
            if (process.HasExited || TimeProvider.System.GetElapsedTime(start) > StartLimit)
            {
                throw new InvalidOperationException(process.Describe($"{program} does not listen"));
            }

            await Task.Delay(50);
        }

        return balancer;
    }

    private static async Task<bool> ListensAsync(int port)
    {
        try
        {
            using var socket = new TcpClient();
            await socket.ConnectAsync("127.0.0.1", port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
