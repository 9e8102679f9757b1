using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Mooring.Benchmarks.Stands;

/// <summary>Kestrel with one handler and nothing round it: no routing, no logging, no host filtering, HTTP/1.1 only.</summary>
internal static class BareKestrel
{
    public static async Task<int> RunAsync(int port, RequestDelegate handler, Action<SocketTransportOptions>? transport = null)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.KeepAliveTimeout = TimeSpan.FromMinutes(10);
            kestrel.Listen(IPAddress.Loopback, port, listen => listen.Protocols = HttpProtocols.Http1);
        });
        if (transport is not null)
        {
            builder.Services.Configure(transport);
        }

        await using var app = builder.Build();
        app.Run(handler);
        await app.StartAsync();
        Console.WriteLine("ready");
        await ((IHost)app).WaitForShutdownAsync();
        return 0;
    }
}
