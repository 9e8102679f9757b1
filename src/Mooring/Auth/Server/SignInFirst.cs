using Microsoft.AspNetCore.Http;
using Mooring.Auth.Server.Providers;
using Mooring.Configuration;

namespace Mooring.Auth.Server;

/// <summary>
/// Has whoever opens a link that is for one person alone sign in first, and leads back to it. Which one it was waits in the store, and where it leads is made here:
/// no browser says where to go.
/// </summary>
internal sealed class SignInFirst(ConfigStore config, Requests requests, Browsers browsers, IdentityProviders providers, Attempts attempts, PublicAddress address)
{
    /// <summary>In the place of an account: the page on which there are all.</summary>
    public const string Accounts = "";

    /// <summary>Whether the people of an issuer can be asked here who they are.</summary>
    public bool CanAsk(string issuer) => config.Current.Auth.Has(AuthMode.OAuth) && providers.AreOf(issuer);

    /// <summary>Whether anybody can.</summary>
    public bool CanAskSomebody => CanAsk(Person.OfConfiguration);

    /// <param name="context">The request for the link.</param>
    /// <param name="account">The provider of the account that it links, or <see cref="Accounts"/>.</param>
    /// <param name="ticket">What makes it that person's; null: it is of whoever is signed in.</param>
    /// <param name="anew">Whether to ask although somebody is signed in.</param>
    /// <returns>Null: the browser is sent there. Else for how many seconds nobody is, since too many were: each waits in the store.</returns>
    public async Task<int?> TrySendAsync(HttpContext context, string account, string? ticket, bool anew)
    {
        if (attempts.TryTake(AuthorizeEndpoint.InAll, "", AuthorizeEndpoint.PerMinuteInAll, TimeSpan.FromMinutes(1)) is { } seconds)
        {
            return seconds;
        }

        var nobody = new ClientData("", null, [], Refreshes: false);
        var secret = await requests.AddAsync(new RequestData(browsers.Know(context), nobody, null, "", ticket, "", [], null, anew, account));
        AuthorizeEndpoint.Redirect(context, $"{address.Of(context)}/oauth/consent?request={Uri.EscapeDataString(secret)}");
        return null;
    }

    /// <summary>Somebody is signed in now: whether it is the one whom the link is for is found out there.</summary>
    public void LeadBack(HttpContext context, RequestData link) => AuthorizeEndpoint.Redirect(
        context, $"{address.Of(context)}/connect{(link.Account == Accounts ? "" : "/" + Uri.EscapeDataString(link.Account!))}{(link.State is { } ticket ? $"?ticket={Uri.EscapeDataString(ticket)}" : "")}");
}
