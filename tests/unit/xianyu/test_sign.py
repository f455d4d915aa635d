from shoal.xianyu.sign import sign, token_of

TOKEN = "0123456789abcdef0123456789abcdef"
DATA = '{"appKey":"444e9908a51d1cb236a27862abc769c9","deviceId":"0A1B2C3D-4E5F-4A6B-8C7D-9E0F1A2B3C4D-2200000000002"}'


def test_the_worked_example_gives_its_signature() -> None:
    assert sign(TOKEN, "1750000000123", DATA) == "4e85dcc908edcbd715f0188820599a80"


def test_the_token_ends_at_the_first_underscore() -> None:
    assert token_of({"_m_h5_tk": f"{TOKEN}_1750000000000"}) == TOKEN
    assert token_of({}) == ""
