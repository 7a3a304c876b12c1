LiveModels.describe({
 "gpt-pieces": {
  "version": "812fea97fded",
  "parts": [
   11696,
   240054,
   240054,
   240054,
   240054,
   240054,
   55350
  ],
  "sha256": "d52df22aa225050e5ebd6130e55cf01c6ed70dfe64a7b9851e0ad517c0d896b0",
  "facts": {
   "corpus": "tiny_shakespeare",
   "parameters": 915584,
   "weights_sha256": "20a895297e1f0e0fcfff0ac45b2cabd067727e14608a290a1a04b791a8832327",
   "valid_bits_per_character": 1.949,
   "valid_bits_per_character_unquantized": 1.9488
  }
 },
 "lstm-pieces": {
  "version": "8e282e6e79a2",
  "parts": [
   9877,
   240055,
   240055,
   240055,
   240055,
   240055,
   128951
  ],
  "sha256": "b5bbade11773aca865632d305e99f53da08adc3d67fec28b3973172415ab8154",
  "facts": {
   "corpus": "tiny_shakespeare",
   "parameters": 967656,
   "weights_sha256": "935c11f7a3222b6de3fda2041abe7ec9fe358247b9d0cc9c00ad12232027d3f9",
   "valid_bits_per_character": 1.9696,
   "valid_bits_per_character_unquantized": 1.9693
  }
 },
 "ngram-characters": {
  "version": "fcb364055bb5",
  "parts": [
   2196,
   240060,
   240060,
   208252
  ],
  "sha256": "f64eb045e9c95a6e21cc3800a62826673dce609baa0c4d6005b3382d8e134b49",
  "facts": {
   "corpus": "tiny_shakespeare",
   "training_text_sha256": "a9e24e23a1ec77744dad26844bfd5a09b6e041954e1eef0000e7f24cba6db735",
   "order": 5,
   "valid_bits_per_character": 2.1681
  }
 },
 "ngram-pieces": {
  "version": "037c113a4e5a",
  "parts": [
   10372,
   240056,
   240056,
   240056,
   166436
  ],
  "sha256": "b88bf7bf49836594c1c8903e460412e9a85e6c9b0fba877f2cdb3aa7d3b4ec53",
  "facts": {
   "corpus": "tiny_shakespeare",
   "training_text_sha256": "a9e24e23a1ec77744dad26844bfd5a09b6e041954e1eef0000e7f24cba6db735",
   "order": 3,
   "valid_bits_per_character": 2.1242
  }
 },
 "sentiment-cnn": {
  "version": "fc562cbc3aa0",
  "parts": [
   90573,
   240057,
   240057,
   240057,
   146153
  ],
  "sha256": "461900173e85774a75366d48eeb6df497e50ea60ffddd981a7a40b943bf5397a",
  "facts": {
   "corpus": "movie_reviews",
   "parameters": 612594,
   "test_accuracy": 74.953095684803,
   "weights_sha256": "e893c862cbde7ed74950e687bf0b5e054b93275eeefdcdc66a481ce9d2313890"
  }
 },
 "sentiment-gru": {
  "version": "631b90047bd9",
  "parts": [
   90721,
   240057,
   240057,
   240057,
   123925
  ],
  "sha256": "7424564771c367bacb3217fd5abc701e19a1159bf9b8f3eaf5c76ea562e0ffc5",
  "facts": {
   "corpus": "movie_reviews",
   "parameters": 594242,
   "test_accuracy": 74.76547842401501,
   "weights_sha256": "d81512a740fbdc0ea968d2646cb4c70b3e8592480a7a071e6b05a460b343b788"
  }
 },
 "tokenizer-pieces": {
  "version": "f61066e8d3fd",
  "parts": [
   9330
  ],
  "sha256": "685cee73f193c31012d0a04592d825d24394641a45f715a2765b6d0f035c095c",
  "facts": {
   "corpus": "tiny_shakespeare",
   "training_text_sha256": "a9e24e23a1ec77744dad26844bfd5a09b6e041954e1eef0000e7f24cba6db735"
  }
 },
 "translator-de-en": {
  "version": "b47ca4719c62",
  "parts": [
   37979,
   240060,
   240060,
   240060,
   240060,
   240060,
   240060,
   240060,
   240060,
   178756
  ],
  "sha256": "5391cb6f363b5a0e5d6b24fdadbdb709f9108ad49b845e6c8d6dba056b29fe95",
  "facts": {
   "corpus": "multi30k",
   "parameters": 1523256,
   "weights_sha256": "949478ae31bb53871eb940e725fe702ded4d39adafa069b64f8e07994452c0a3"
  }
 }
});
