# OKDHP whose first branch, which is deployed, learns beside two with decoders of twice and four
# times the width.
method = dict(
    branches=[
        dict(),
        dict(head=dict(deconv_out_channels=(128, 64))),
        dict(head=dict(deconv_out_channels=(256, 128))),
    ]
)
