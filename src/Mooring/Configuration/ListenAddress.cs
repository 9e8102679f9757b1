using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;

namespace Mooring.Configuration;

/// <summary>One address of <c>listen</c>: scheme, host and port, nothing more.</summary>
/// <param name="Secure">https.</param>
/// <param name="Address">Null for <c>localhost</c>: both loopback addresses.</param>
/// <param name="Port">0: any free one.</param>
internal sealed record ListenAddress(bool Secure, IPAddress? Address, int Port)
{
    /// <summary>Completes "must be …".</summary>
    public const string Expected =
        "an address to listen on, such as http://127.0.0.1:3000, https://0.0.0.0:443 or http://[::1]:3000 (an IP address, localhost or *; no path)";

    /// <summary>Whether only this machine can reach it.</summary>
    public bool IsLoopback => Address is null || IPAddress.IsLoopback(Address);

    public static bool TryParse(string text, [NotNullWhen(true)] out ListenAddress? address)
    {
        address = null;
        text = text.Trim();
        var secure = text.StartsWith("https://", StringComparison.OrdinalIgnoreCase);
        if (!secure && !text.StartsWith("http://", StringComparison.OrdinalIgnoreCase))
        {
            return false;
        }

        var rest = text[(secure ? "https://".Length : "http://".Length)..];
        rest = rest.EndsWith('/') ? rest[..^1] : rest;
        var colon = rest.LastIndexOf(':');
        var hasPort = colon >= 0 && !rest.EndsWith(']');
        var port = secure ? 443 : 80;
        if (hasPort && (!int.TryParse(rest[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out port) || port > ushort.MaxValue))
        {
            return false;
        }

        var host = hasPort ? rest[..colon] : rest;
        IPAddress? ip = null;
        if (host is "*" or "+")
        {
            ip = IPAddress.IPv6Any;
        }
        else if (host.StartsWith('[') && host.EndsWith(']'))
        {
            if (!IPAddress.TryParse(host[1..^1], out ip))
            {
                return false;
            }
        }
        else if (!string.Equals(host, "localhost", StringComparison.OrdinalIgnoreCase))
        {
            // Four parts: IPAddress also reads "3000" and "0x7f.1", which nobody means.
            if (host.Count(c => c == '.') != 3 || !IPAddress.TryParse(host, out ip))
            {
                return false;
            }
        }

        address = new(secure, ip, port);
        return true;
    }

    public override string ToString()
    {
        var host = Address is null ? "localhost" : Address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? $"[{Address}]" : Address.ToString();
        return $"{(Secure ? "https" : "http")}://{host}:{Port}";
    }
}
