"""Anything that JSON can say, and what Python's parser lets it say beyond that: NaN and lone surrogates."""

from hypothesis import strategies as st

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "email",
                    "password",
                    "fingerprint",
                    "confirmationToken",
                    "name",
                    "members",
                    "firstName",
                    "phone",
                ]
            )
            | st.text(max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
