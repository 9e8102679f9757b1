using System.Net;
using System.Net.Security;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Mooring.Configuration;
using Mooring.Drain;
using Mooring.Network;

namespace Mooring.Host.Listening;

/// <summary>Addresses, protocols, certificates and limits of the web server.</summary>
internal static class KestrelSetup
{
    /// <summary>
    /// Requests at once on one HTTP/2 connection. Kestrel's default of 100 suits browsers; here each may be a stream that stays
    /// open for hours, and a proxy puts those of many users on one connection.
    /// </summary>
    private const int StreamsPerConnection = 1000;

    public static void Apply(WebApplicationBuilder builder, MooringConfig config)
    {
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration();
        builder.Services.AddSingleton<PriorKnowledgeTransport>();
        builder.Services.AddSingleton<IConnectionListenerFactory>(services => services.GetRequiredService<PriorKnowledgeTransport>());
        if (config.Tls is { } tls)
        {
            builder.Services.AddSingleton(services => new TlsCertificates(
                tls, services.GetRequiredService<TimeProvider>(), services.GetRequiredService<ILogger<TlsCertificates>>()));
            builder.Services.AddHostedService(services => services.GetRequiredService<TlsCertificates>());
        }

        var listening = new ListenSockets();
        builder.Services.AddSingleton<IListeners>(listening);
        builder.Services.Configure<SocketTransportOptions>(sockets => sockets.CreateBoundListenSocket = endpoint =>
        {
            var socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
            listening.Add(socket);
            PeerTimeout.Apply(socket, config.Http.PeerTimeout);
            return socket;
        });
        // What a connection brings is handled on the thread that waited for it, and what is written goes out from where it is written
        // (decision 0023). Not on Windows, where other threads report.
        builder.Services.Configure<SocketTransportOptions>(sockets => sockets.UnsafePreferInlineScheduling = !OperatingSystem.IsWindows());
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            SetLimits(kestrel, config);
            var clear = false;
            foreach (var text in config.Listen)
            {
                if (ListenAddress.TryParse(text, out var address))
                {
                    Listen(kestrel, address, config, listening);
                    clear |= !address.Secure;
                }
            }

            if (clear)
            {
                kestrel.Listen(PriorKnowledgeEndPoint.Instance, options => options.Protocols = HttpProtocols.Http2);
            }
        });
    }

    private static void SetLimits(KestrelServerOptions kestrel, MooringConfig config)
    {
        kestrel.AddServerHeader = false;
        var limits = kestrel.Limits;
        limits.MaxRequestHeadersTotalSize = config.Limits.HeaderSize;
        limits.MaxRequestLineSize = Math.Min(limits.MaxRequestLineSize, config.Limits.HeaderSize);
        // Counts the framing of a chunked body too, and is fixed at start: limits.bodySize is held by the front door, which reads the
        // setting anew for each request and answers in JSON-RPC.
        limits.MaxRequestBodySize = null;
        limits.RequestHeadersTimeout = config.Http.HeadersTimeout;
        limits.KeepAliveTimeout = config.Http.KeepAlive;
        // A stream may be silent between keep-alives, and slow readers have a rule of their own (streams.writeTimeout).
        limits.MinResponseDataRate = null;
        limits.Http2.MaxStreamsPerConnection = StreamsPerConnection;
        limits.Http2.MaxRequestHeaderFieldSize = config.Limits.HeaderSize;
        // Beside TCP's own probes: something on the path may acknowledge for a client that is gone.
        limits.Http2.KeepAlivePingDelay = config.Http.PeerTimeout / 2;
        limits.Http2.KeepAlivePingTimeout = config.Http.PeerTimeout / 2;
    }

    private static void Listen(KestrelServerOptions kestrel, ListenAddress address, MooringConfig config, ListenSockets listening)
    {
        Action<ListenOptions> protocol = address.Secure ? Secure : listen => Clear(listen, config.Http);
        void Options(ListenOptions listen)
        {
            listen.Use(next => connection =>
            {
                connection.Transport = new FairInput.Transport(connection.Transport, connection.Features.Get<IConnectionSocketFeature>()?.Socket);
                return listening.ServeAsync(connection, next);
            });
            protocol(listen);
        }

        if (address.Address is null && address.Port != 0)
        {
            kestrel.ListenLocalhost(address.Port, Options);
        }
        else if (IPAddress.IPv6Any.Equals(address.Address))
        {
            // Falls back to IPv4 where the system has no IPv6.
            kestrel.ListenAnyIP(address.Port, Options);
        }
        else
        {
            // localhost with any free port: two addresses cannot share a port that is not chosen yet.
            kestrel.Listen(address.Address ?? IPAddress.Loopback, address.Port, Options);
        }
    }

    private static void Secure(ListenOptions listen)
    {
        listen.Protocols = HttpProtocols.Http1AndHttp2;
        var certificates = listen.ApplicationServices.GetRequiredService<TlsCertificates>();
        listen.UseHttps(new TlsHandshakeCallbackOptions
        {
            OnConnection = _ => ValueTask.FromResult(new SslServerAuthenticationOptions { ServerCertificateContext = certificates.Current }),
        });
    }

    private static void Clear(ListenOptions listen, HttpConfig http)
    {
        listen.Protocols = HttpProtocols.Http1;
        var services = listen.ApplicationServices;
        var transport = services.GetRequiredService<PriorKnowledgeTransport>();
        var time = services.GetRequiredService<TimeProvider>();
        listen.Use(next => async connection =>
        {
            switch (await PrefaceReader.ReadAsync(connection, http, time))
            {
                case Preface.Http1:
                    await next(connection);
                    break;
                case Preface.Http2:
                    await transport.ServeAsync(connection);
                    break;
            }
        });
    }
}
