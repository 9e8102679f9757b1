using System.Net;
using System.Net.Sockets;

namespace Mooring.Auth.Issuers;

/// <summary>
/// The way to addresses that a stranger named: a client's metadata document may be anywhere in the world, but not inside of the gateway's own network
/// (2025-11-25, security best practices, "Server-Side Request Forgery"). Each address that a name leads to is looked at, and the connection goes to
/// the very address that was, so that a name that leads elsewhere a moment later gains nothing.
/// </summary>
internal static class GuardedAddress
{
    public static HttpMessageHandler NewHandler() => new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        MaxResponseHeadersLength = 16,
        ConnectCallback = static async (context, cancel) =>
        {
            var addresses = await Dns.GetHostAddressesAsync(context.DnsEndPoint.Host, cancel);
            if (addresses.Length == 0 || !addresses.All(IsPublic))
            {
                throw new HttpRequestException("it leads to an address that is not public");
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
    public static bool IsPublic(IPAddress address)
    {
        var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return !Array.Exists(NotPublic, network => network.BaseAddress.AddressFamily == plain.AddressFamily && network.Contains(plain));
    }
}
