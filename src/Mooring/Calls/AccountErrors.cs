using System.Security.Cryptography;
using System.Text;
using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Upstreams;

namespace Mooring.Calls;

/// <summary>
/// The error of a request whose person has to link an account first. A client that opens addresses gets it as its protocol has it (2025-11-25,
/// client/elicitation, "URL Elicitation Required Error"), of which the
/// front door makes a question for clients of 2026-07-28; any other gets the address in the sentence.
/// </summary>
internal static class AccountErrors
{
    public static byte[] ToResponse(ReadOnlySpan<byte> id, Session session, string server, AccountNeeded needed)
    {
        var because = $"Server \"{server}\" cannot be used yet: {needed.Why}.";
        byte[] mooring =
        [
            .. "\"mooring\":{\"reason\":\""u8, .. Encoding.ASCII.GetBytes(CallFailure.AccountNeeded.ToTag()), .. "\",\"server\":"u8, .. JsonText.Quote(server), .. ",\"executed\":\"no\"}"u8,
        ];
        if (needed.Address is not { } address)
        {
            return JsonRpc.Error(id, JsonRpc.InternalError, because, [(byte)'{', .. mooring, (byte)'}']);
        }

        if (!session.OpensPages)
        {
            return JsonRpc.Error(id, JsonRpc.InternalError, $"{because} Open {address} in a browser, then try again.", [(byte)'{', .. mooring, (byte)'}']);
        }

        // The same while the address is the same; nothing can be learned from it.
        var name = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(address)).AsSpan(0, 16));
        byte[] data =
        [
            .. "{\"elicitations\":[{\"mode\":\"url\",\"elicitationId\":\""u8, .. Encoding.ASCII.GetBytes(name), .. "\",\"url\":"u8, .. JsonText.Quote(address), .. ",\"message\":"u8,
            .. JsonText.Quote($"Connect your account for \"{server}\": {needed.Why}."), .. "}],"u8, .. mooring, (byte)'}',
        ];
        return JsonRpc.Error(id, JsonRpc.UrlElicitationRequired, because, data);
    }
}
