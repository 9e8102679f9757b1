using System.Net;
using System.Net.Sockets;

namespace Mooring.Network;

/// <summary>How far a request may go.</summary>
internal enum Reach
{
    /// <summary>Its address stands in the configuration, or was named by somebody on this very machine.</summary>
    Anywhere,

    /// <summary>Somebody in a private network named its address: to that network, or out of it, and not to this machine.</summary>
    Network,

    /// <summary>Somebody out in the world named it.</summary>
    Internet,
}

/// <summary>
/// The way to addresses that somebody else named: a client's metadata document, or the authorization server of a server out there, may be anywhere in
/// the world, but not inside of the gateway's own network (2025-11-25, security best practices, "Server-Side Request Forgery"). Each address that a name leads to is looked at, and the connection goes to
/// the very address that was, so that a name that leads elsewhere a moment later gains nothing.
/// </summary>
internal static class GuardedAddress
{
    /// <summary>Private networks, and what carriers and overlays use in their place. Not link-local: clouds keep their credentials there.</summary>
    private static readonly IPNetwork[] Private = [.. new[] { "10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7" }.Select(text => IPNetwork.Parse(text))];

    /// <summary>How far requests may go whose addresses a configured server named: as far as it could itself, roughly.</summary>
    public static async ValueTask<Reach> ReachOfAsync(Uri server, CancellationToken cancel)
    {
        if (server.IsLoopback)
        {
            return Reach.Anywhere;
        }

        try
        {
            // A name leads to this machine only if it says so: what it leads to is up to whoever owns it.
            var addresses = await Dns.GetHostAddressesAsync(server.DnsSafeHost, cancel);
            return addresses.Length > 0 && addresses.All(IsPrivate) ? Reach.Network : Reach.Internet;
        }
        catch (Exception e) when (e is SocketException or ArgumentException)
        {
            return Reach.Internet;
        }
    }

    /// <param name="reach">Not <see cref="Reach.Anywhere"/>: that needs no guard.</param>
    public static HttpMessageHandler NewHandler(Reach reach = Reach.Internet) => new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        ConnectTimeout = TimeSpan.FromSeconds(10),
        MaxResponseHeadersLength = 16,
        ActivityHeadersPropagator = null,
        ConnectCallback = async (context, cancel) =>
        {
            var addresses = await Dns.GetHostAddressesAsync(context.DnsEndPoint.Host, cancel);
            if (addresses.Length == 0 || !addresses.All(address => IsPublic(address) || (reach == Reach.Network && IsPrivate(address))))
            {
                throw new HttpRequestException(reach == Reach.Network ? "it leads to this machine or to an address that is in no network" : "it leads to an address that is not public");
            }

            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(addresses, context.DnsEndPoint.Port, cancel);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        },
    };

    private static readonly IPNetwork[] NotPublic =
    [
        // RFC 6890 and the registries of IANA: this network, private, shared, loopback, link-local (where clouds keep their credentials), documentation, benchmarks, multicast, reserved.
        .. new[]
        {
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
            "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
            "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
        }.Select(text => IPNetwork.Parse(text)),
    ];

    /// <summary>Whether an address is one of the internet.</summary>
    public static bool IsPublic(IPAddress address) => !IsIn(NotPublic, address);

    private static bool IsPrivate(IPAddress address) => IsIn(Private, address);

    private static bool IsIn(IPNetwork[] networks, IPAddress address)
    {
        var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return Array.Exists(networks, network => network.BaseAddress.AddressFamily == plain.AddressFamily && network.Contains(plain));
    }
}
