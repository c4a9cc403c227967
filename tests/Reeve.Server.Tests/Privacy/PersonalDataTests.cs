using System.Text.RegularExpressions;
using Reeve.Server.Privacy;

namespace Reeve.Server.Tests.Privacy;

public sealed class PersonalDataTests
{
    [Theory]
    [InlineData("Write to ann.lee+news@mail.example.org.", "ann.lee+news@mail.example.org")]
    [InlineData("<ann@x.io>, 'bob@y.io'", "ann@x.io|bob@y.io")]
    [InlineData("ünal@bücher.example is his", "ünal@bücher.example")]
    [InlineData("mailto:ann@x.io?subject=1", "ann@x.io")]
    [InlineData("ann\uFF20x.io", "ann\uFF20x.io")]
    [InlineData("Call +47 22 33 44 55 now", "+47 22 33 44 55")]
    [InlineData("Call +1 (555) 123-4567.", "+1 (555) 123-4567")]
    [InlineData("(555) 123-4567 or 555-123-4567", "(555) 123-4567|555-123-4567")]
    [InlineData("0049 30 901820", "0049 30 901820")]
    [InlineData("020 7946 0958", "020 7946 0958")]
    [InlineData("22 33 44 55", "22 33 44 55")]
    [InlineData("tel:+4722334455", "+4722334455")]
    [InlineData("Card 4111 1111 1111 1111, exp 12/27", "4111 1111 1111 1111")]
    [InlineData("5500-0000-0000-0004", "5500-0000-0000-0004")]
    [InlineData("378282246310005", "378282246310005")]
    [InlineData("IBAN DE89 3704 0044 0532 0130 00 please", "DE89 3704 0044 0532 0130 00")]
    [InlineData("NO9386011117947", "NO9386011117947")]
    [InlineData("gb82west12345698765432", "gb82west12345698765432")]
    [InlineData("from 192.168.0.1:8080 and 10.0.0.1 80", "192.168.0.1|10.0.0.1")]
    [InlineData("at 2001:db8::8a2e:370:7334, or ::1", "2001:db8::8a2e:370:7334|::1")]
    [InlineData("fe80::1%eth0", "fe80::1")]
    [InlineData("Card ４１１１ １１１１ １１１１ １１１１", "４１１１ １１１１ １１１１ １１１１")]
    [InlineData("رقم ٤١١١ ١١١١ ١١١١ ١١١١", "٤١١١ ١١١١ ١١١١ ١١١١")]
    [InlineData("\U0001D7D2111 1111 1111 1111", "\U0001D7D2111 1111 1111 1111")]
    [InlineData("4111\u200B1111\u00AD1111\uFEFF1111!", "4111\u200B1111\u00AD1111\uFEFF1111")]
    [InlineData("4111\u202F1111\u20091111\u00A01111", "4111\u202F1111\u20091111\u00A01111")]
    [InlineData("4111\u20121111\u22121111\u20141111", "4111\u20121111\u22121111\u20141111")]
    [InlineData("an\u200Bn@\u2060x.i\u00ADo", "an\u200Bn@\u2060x.i\u00ADo")]
    [InlineData("ann\uFE6Bx\uFF0Eio", "ann\uFE6Bx\uFF0Eio")]
    [InlineData("see /?to=ann%40x.io&b=1", "/?to=ann%40x.io")]
    [InlineData("\"ann lee\"@x.io is odd", "\"ann lee\"@x.io")]
    [InlineData("ann@mail_host.example", "ann@mail_host.example")]
    [InlineData("我的卡号4111111111111111，电话138-0013-8000是", "4111111111111111|138-0013-8000")]
    [InlineData("카드4111111111111111입니다", "4111111111111111")]
    [InlineData("+47 22 33 44 10 4111 1111 1111 1111", "+47 22 33 44 10 4111 1111 1111 1111")]
    [InlineData("0 4111 1111 1111 1111", "0 4111 1111 1111 1111")]
    [InlineData("+47 22 33 44 55 192.168.0.1", "+47 22 33 44 55 192.168.0.1")]
    public void Find_PersonalData_IsFoundWhole(string text, string found) =>
        Assert.Equal(found, string.Join('|', Find(text)));

    [Theory]
    [InlineData("On 2026-11-26 at 12:30:45, 26.11.2026 or 11/26/2026.")]
    [InlineData("It costs 1,299.00 and weighs 12345678 grams.")]
    [InlineData("std::vector and a::b, 12:30, C:\\dir, http://x")]
    [InlineData("Version 10.2.1; pi is 3.14159265 and e 0.123456789")]
    [InlineData("4111111111111112 has a wrong check digit x12345678y")]
    [InlineData("an @mention, user@localhost, a @ b, @@, x@, @y.z")]
    [InlineData("DE00 0000 no account")]
    [InlineData("100%40 of \"it\"@, %40x.io, é12345678é")]
    [InlineData("Order 12, 7 items, 1000 users, ids 1 2 3 4 5 6 7 8 9")]
    [InlineData("")]
    public void Find_WhatIsNot_IsLeft(string text) => Assert.Empty(Find(text));

    [Fact]
    public void Find_PatternOfTheOperator_JoinsAndOverlapsBecomeOne()
    {
        var personal = new PersonalData([("EMPLOYEE", new Regex(@"E-\d{6}", RegexOptions.NonBacktracking))]);
        var found = new List<PersonalDatum>();
        const string Text = "E-123456 wrote from ann@x.io, E-654321@x.io.";
        personal.Find(Text, found);
        Assert.Equal(
            [("E-123456", "EMPLOYEE"), ("ann@x.io", "EMAIL"), ("E-654321@x.io", "EMAIL")],
            found.Select(one => (Text.Substring(one.Start, one.Length), one.Kind)));
    }

    private static IEnumerable<string> Find(string text)
    {
        var found = new List<PersonalDatum>();
        new PersonalData([]).Find(text, found);
        return found.Select(one => text.Substring(one.Start, one.Length));
    }
}
