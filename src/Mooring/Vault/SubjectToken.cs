namespace Mooring.Vault;

/// <summary>
/// The token that a request was let in with, where another issuer signed it: servers are used with what is given in exchange for that very one. It may
/// allow less than another one of the same person, and each brings along what it allows. In memory alone, for as long as a request, or its session, has it.
/// </summary>
/// <param name="Value">The token.</param>
/// <param name="Expires">When it ends.</param>
internal sealed record SubjectToken(string Value, DateTimeOffset Expires)
{
    public override string ToString() => $"token, expires {Expires:O}";
}
